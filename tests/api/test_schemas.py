"""The promises of `service.api.v1`: strict requests; complete responses, masked where necessary."""

import json

import pytest
from pydantic import ValidationError
from pydantic_core import to_json

from service.api.v1 import channel_list
from service.api.v1.bodies import CheckBody, IssueBody
from service.api.v1.schemas import (
    CheckResponse,
    IssueResponse,
    ResponseWriter,
    SendResponse,
    VerificationResponse,
)
from service.core.actions import Action
from service.core.channels import Capabilities, Channel
from service.core.phone import PhoneNumber
from service.core.verification import (
    CheckResult,
    Delivery,
    Feedback,
    Send,
    Status,
    Verdict,
    Verification,
    VerificationRequest,
)

ID = "ve_3f0917cf2a8b4c5d9e6f7a8b9c0d1e2f"
ASKED = VerificationRequest("US", reference="r", code_length=6, ttl_seconds=600)


def issue(**fields):
    """Parse an issue from JSON, as the endpoint does."""
    return IssueBody.model_validate_json(json.dumps({"to": "+14155550123", **fields}))


def request_of(body, caller=None):
    """Convert a body, with the number that the rules would read from it."""
    return body.to_request(PhoneNumber("+14155550123", "US"), caller, locale=body.locale or "en")


def check(**fields):
    """Parse a check from JSON, as the endpoint does."""
    return CheckBody.model_validate_json(json.dumps(fields))


def test_missing_fields_have_defaults():
    """A number is enough: SMS, a typed code, login, English; length and lifetime come from the settings."""
    asked = request_of(issue(), "digest")
    assert (asked.number.e164, asked.channel, asked.client_ip, asked.caller) == (
        "+14155550123", Channel.SMS, None, "digest",
    )  # fmt: skip
    assert asked.request == VerificationRequest("US", purpose="login", locale="en", action=Action.CODE)


@pytest.mark.parametrize(
    "fields",
    [
        {"channel": "sms", "action": "code", "purpose": "a-b_9", "locale": "de"},
        {"locale": "de-AT"},
        {"locale": "zh_Hant_HK"},
        {"locale": "tlh"},
        {"code_length": 4},
        {"code_length": 8, "ttl_seconds": 30},
        {"ttl_seconds": 600},
        {"client_ip": "192.0.2.7"},
        {"client_ip": "2001:db8::1"},
        {"web_origin": "example.com"},
        {"web_origin": "https://login.example.com"},
        {"web_origin": "shop.example.com", "embedded_origin": "pay.example.net"},
        {"app_hash": "FA+9qCX9VSu"},
        {"web_origin": "https://" + "x." * 31 + "xx"},
        {"country": "GB"},
        {"reference": "x" * 64},
        {"reference": "order 1/2"},
    ],
)
def test_documented_values_are_accepted(fields):
    """Every documented value, and every limit itself, is accepted and passed on."""
    asked = request_of(issue(**fields))
    handed_on = asked._asdict() | asked.request._asdict()
    for name, value in fields.items():
        if name == "country":
            continue  # read with the number
        assert handed_on[name] == (value.removeprefix("https://") if name == "web_origin" else value)


@pytest.mark.parametrize(
    ("channels", "steps"),
    [
        (None, [(Channel.SMS, 0)]),
        ([{"channel": "voice"}], [(Channel.VOICE, 0)]),
        (
            [
                {"channel": "whatsapp", "wait_seconds": 10},
                {"channel": "sms"},
                {"channel": "voice", "wait_seconds": 300},
            ],
            [(Channel.WHATSAPP, 10), (Channel.SMS, 30), (Channel.VOICE, 300)],
        ),
        ([{"channel": "sms", "wait_seconds": None}, {"channel": "voice"}], [(Channel.SMS, 30), (Channel.VOICE, 60)]),
        ([{"channel": "voice"}, {"channel": "whatsapp"}], [(Channel.VOICE, 60), (Channel.WHATSAPP, 30)]),
    ],
)
def test_a_list_of_channels_is_read_in_its_order(channels, steps):
    """Channels are read in their order, with their waits; a wait that is left out is 30 seconds, and 60 for a call."""
    asked = request_of(issue(channels=channels))
    assert [(asked.channel, asked.wait_seconds), *asked.further] == steps


def test_requests_differ_by_what_they_ask_for():
    """The same list is the same request, also with its defaults written out; another list or wait is another."""
    first = [{"channel": "sms"}, {"channel": "voice"}]
    others = (
        [{"channel": "sms"}],
        [{"channel": "voice"}, {"channel": "sms"}],
        [{"channel": "sms", "wait_seconds": 31}, {"channel": "voice"}],
        [{"channel": "sms"}, {"channel": "voice"}, {"channel": "whatsapp"}],
    )
    content = request_of(issue(channels=first)).content
    assert request_of(issue(channels=[{"channel": "sms", "wait_seconds": 30}, {"channel": "voice"}])).content == content
    assert all(request_of(issue(channels=other)).content != content for other in others)
    assert request_of(issue(channels=[{"channel": "sms"}])).content == request_of(issue()).content


@pytest.mark.parametrize(
    "fields",
    [
        {"to": None}, {"to": 14155550123}, {"to": ["+14155550123"]}, {"to": "+" + "1" * 64},
        {"channel": "call"}, {"channel": "SMS"}, {"action": "fax"}, {"action": 1},
        {"purpose": ""}, {"purpose": "Log in"}, {"purpose": "x" * 33}, {"purpose": "login\n"}, {"purpose": "\uff41"},
        {"locale": "de.UTF-8"}, {"locale": "de-"}, {"locale": ""}, {"locale": "d" * 9}, {"locale": "*"}, {"locale": 1},
        {"locale": "en" + "-x" * 32},
        {"code_length": 3}, {"code_length": 9}, {"code_length": "6"}, {"code_length": 6.5}, {"code_length": True},
        {"ttl_seconds": 29}, {"ttl_seconds": 601}, {"ttl_seconds": 601, "action": "link"},
        {"ttl_seconds": 86401, "action": "password"}, {"action": "password", "password_length": 9},
        {"password_length": 13}, {"action": "link", "password_length": 13}, {"action": "password", "code_length": 6},
        {"action": "password", "web_origin": "a.com"}, {"action": "password", "app_hash": "FA+9qCX9VSu"},
        {"action": "link", "web_origin": "a.com"}, {"origin_text": "Berlin"}, {"link_return": 0},
        {"action": "link", "link_return": -1}, {"action": "link", "origin_text": ""},
        {"action": "link", "origin_text": " "},
        {"action": "link", "origin_text": "x" * 81}, {"action": "link", "origin_text": "a\nb"},
        {"action": "link", "origin_text": "go to evil.example"}, {"action": "link", "origin_text": "https://evil"},
        {"action": "link", "origin_text": "<b>Berlin"}, {"action": "link", "origin_text": "a\u202eb"},
        {"ttl_seconds": -1}, {"ttl_seconds": "60"},
        {"client_ip": "192.0.2"}, {"client_ip": "192.0.2.7/24"}, {"client_ip": "localhost"}, {"client_ip": ""},
        {"client_ip": "fe80::1%eth0"},
        {"web_origin": "http://example.com"}, {"web_origin": "example.com/path"}, {"web_origin": "a b.com"},
        {"web_origin": "example.com\n@evil.com #123456"}, {"web_origin": "-example.com"},
        {"web_origin": "a..b"}, {"web_origin": "a.-b"}, {"web_origin": "a."}, {"web_origin": "x" * 64}, {"web_origin": "https://"},
        {"embedded_origin": "a.com"}, {"web_origin": "a.com", "embedded_origin": "b..com"}, {"embedded_origin": ""},
        {"embedded_origin": "a.com", "app_hash": "FA+9qCX9VSu"},
        {"web_origin": "x." * 32 + "x"}, {"country": "UK"}, {"country": "us"}, {"country": "001"}, {"country": ""},
        {"app_hash": "FA+9qCX9VS"}, {"app_hash": "FA+9qCX9VSu="}, {"app_hash": "FA+9qCX9VSu", "web_origin": "a.com"},
        {"reference": ""}, {"reference": "x" * 65}, {"reference": "ü"}, {"reference": "a\tb"}, {"reference": 1},
        {"channels": []}, {"channels": {}}, {"channels": ["sms"]}, {"channels": [{}]},
        {"channels": [{"channel": "fax"}]},
        {"channels": [{"channel": "sms", "wait": 30}]}, {"channels": [{"channel": "sms"}, {"channel": "sms"}]},
        {"channels": [{"channel": "sms"}], "channel": "sms"}, {"channels": [{"channel": "sms"}], "channel": "voice"},
        {"channels": [{"channel": each} for each in ("sms", "voice", "whatsapp", "sms")]},
        *({"channels": [{"channel": "sms", "wait_seconds": wait}]} for wait in (9, 301, "30", 30.5, True, -1)),
        {"action": "link", "channels": [{"channel": "sms"}, {"channel": "voice"}]},
        {"action": "password", "channel": "whatsapp"}, {"action": "reply", "channel": "voice"},
        {"unknown": 1}, {"caller": "digest"}, {"client_tag": "x"}, {"To": "+14155550123"},
    ],
)  # fmt: skip
def test_other_values_are_refused(fields):
    """Nothing is coerced, trimmed, translated or ignored: a wrong type, case, length or name is refused."""
    with pytest.raises(ValidationError):
        issue(**fields)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("192.0.2.1", "an IP address"), ("https://192.0.2.1", "an IP address"), ("2001:db8::1", "an IP address"),
        ("[::1]", "an IP address"), ("https://[2001:db8::1]", "an IP address"), ("127.1", "an IP address"),
        ("2130706433", "an IP address"), ("0x7f.1", "an IP address"), ("example.com:443", "a port"),
        ("https://localhost:5173", "a port"), ("Example.com", "capital letters"), ("HTTPS://a.test", "capital letters"),
        ("example.com/", "a slash"), ("https://example.com/login", "a slash"), ("http://example.com", "http://"),
        ("bücher.example", "xn--"), ("x." * 32 + "x", "64 characters"), ("a b.com", "not a host"),
        ("", "not a host"), ("user@example.com", "not a host"), ("http://a", "http://"), ("login.test.", "not a host"),
        ("*.example.com", "not a host"),
    ],
)  # fmt: skip
def test_a_refused_web_origin_names_the_reason(text, reason):
    """What keeps a web origin from being a host is named, and its text is not repeated."""
    with pytest.raises(ValidationError) as refused:
        issue(web_origin=text)
    [error] = refused.value.errors()
    assert reason in error["msg"]
    assert not text or text not in error["msg"]


def test_an_integer_may_be_written_with_a_decimal_point():
    """As in JSON Schema, 6.0 is the integer 6; its bounds apply, and text never becomes a number."""
    assert request_of(issue(code_length=6.0, ttl_seconds=1e2)).request.code_length == 6
    with pytest.raises(ValidationError):
        issue(code_length=9.0)
    for text in ("NaN", "Infinity", "1e400", "6.0000001"):
        with pytest.raises(ValidationError):
            IssueBody.model_validate_json(f'{{"to": "+14155550123", "code_length": {text}}}')


@pytest.mark.parametrize("name", [name for name in IssueBody.model_fields if name != "to"])
def test_null_means_absent(name):
    """Every field except the number may be null, which means the same as leaving it out."""
    assert request_of(issue(**{name: None})) == request_of(issue())


@pytest.mark.parametrize("name", ["to", "purpose"])
def test_null_means_absent_in_a_check(name):
    """Every field of a check except the code may be null."""
    assert check(code="1234", **{name: None}) == check(code="1234")


@pytest.mark.parametrize("code", ["1234", "00000000", "123456"])
def test_a_code_is_a_string_of_4_to_8_digits(code):
    """Codes keep their leading zeros, and have 4 to 8 digits."""
    assert check(code=code).code == code


@pytest.mark.parametrize(
    "code", ["12 34", "12-34", "1234\n", "\uff11\uff12\uff13\uff14", "\u200f\u0661\u0662\u0663\u0664"]
)
def test_a_code_is_normalised_first(code):
    """However 1234 is typed, the value passed on is 1234."""
    assert check(code=code).code == "1234"


@pytest.mark.parametrize("code", ["", "123", "123456789", "1234 56789", "+1234", "12.34", "123²", 1234, ["1234"]])
def test_other_codes_are_refused(code):
    """A malformed code is refused before it costs an attempt."""
    with pytest.raises(ValidationError):
        check(code=code)


def send(number, **changes):
    """Make a send."""
    fields = {"status": Delivery.DELIVERED, "error_code": None, "sent_at_ms": 1_000, "feedback": Feedback.NONE}
    return Send(number=number, channel=Channel.SMS, **{**fields, **changes})


def verification(**changes):
    """Make a verification with one send."""
    fields = {
        "id": ID, "to": "+14155550123", "status": Status.PENDING,
        "request": VerificationRequest("US", code_length=6, ttl_seconds=600),
        "expires_at_ms": 600_000, "read_at_ms": 0, "attempts": 2, "resend_at_ms": 30_000, "sends": (send(1),),
    }  # fmt: skip
    return Verification(**{**fields, **changes})


ANSWERS = ResponseWriter(max_attempts=5, max_sends=3)


def remaining(shown):
    """Read the remaining attempts and sends from a response."""
    return shown["attempts_remaining"], shown["sends_remaining"], shown["resend_at"]


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        (VerificationResponse, ANSWERS.verification(verification(), masked=False)),
        (VerificationResponse, ANSWERS.verification(verification(request=ASKED, status=Status.FAILED), masked=True)),
        (IssueResponse, ANSWERS.issued(verification(), "vt_x", None)),
        (CheckResponse, ANSWERS.check(CheckResult(verdict=Verdict.EXPIRED, verification=verification()), masked=False)),
    ],
)
def test_a_response_matches_its_model(model, shown):
    """Although written without its model, a response has exactly its fields, in its order and with its types."""
    assert list(shown) == list(model.model_fields)
    assert [list(sent) for sent in shown["sends"]] == [list(SendResponse.model_fields)]
    assert model.model_validate_json(to_json(shown), strict=True).model_dump(mode="json") == shown


def test_a_response_counts_down_from_the_limits():
    """Remaining attempts and sends are the limit minus the used ones, and never below zero."""
    shown = ANSWERS.verification(verification(), masked=False)
    assert remaining(shown) == (3, 2, "1970-01-01T00:00:30.000Z")
    many = verification(attempts=9, sends=tuple(send(n) for n in range(1, 6)))
    shown = ANSWERS.verification(many, masked=False)
    assert remaining(shown) == (0, 0, None)


@pytest.mark.parametrize(
    ("read_at_ms", "seconds"),
    [(0, (600, 30)), (1, (599, 30)), (29_001, (570, 1)), (30_000, (570, 0)), (599_999, (0, 0)), (700_000, (0, 0))],
)
def test_instants_are_also_shown_in_seconds(read_at_ms, seconds):
    """`expires_in` is rounded down and `resend_in` up, so that acting on either is never too late or too early."""
    shown = ANSWERS.verification(verification(read_at_ms=read_at_ms), masked=False)
    assert (shown["expires_in"], shown["resend_in"]) == seconds
    assert ANSWERS.verification(verification(status=Status.APPROVED), masked=False)["resend_in"] is None


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PENDING])
def test_only_a_pending_verification_can_be_resent(status):
    """Only a pending verification says when its next code may be sent."""
    assert ANSWERS.verification(verification(status=status), masked=False)["resend_at"] is None


def test_a_front_end_sees_two_digits_of_the_number():
    """Masked responses show the length and the last two digits of the number; a back end sees all of it."""
    assert ANSWERS.verification(verification(), masked=True)["to"] == "••••••••••23"
    checked = CheckResult(verdict=Verdict.WRONG_CODE, verification=verification())
    assert ANSWERS.check(checked, masked=True)["to"] == "••••••••••23"
    assert ANSWERS.issued(verification(), "vt_x", None)["to"] == "+14155550123"


@pytest.mark.parametrize("verdict", Verdict)
def test_only_approved_is_valid(verdict):
    """`valid` is true for the verdict `approved` only."""
    checked = CheckResult(verdict=verdict, verification=verification())
    assert ANSWERS.check(checked, masked=False)["valid"] == (verdict is Verdict.APPROVED)


def test_no_response_contains_internal_values():
    """Message SIDs and message parameters are internal; only the response to an issue has the client token."""
    kept = verification(client_tag="tag", sends=(send(1, idempotency_tag="tag"),))
    shown = ANSWERS.verification(kept, masked=False)
    assert not {"sid", "locale", "web_origin", "app_hash", "ttl_seconds", "client_token", "client_tag"} & set(shown)
    assert set(shown["sends"][0]) == {"number", "channel", "status", "error_code", "sent_at", "feedback"}


def test_a_channel_is_refused_for_an_action_that_it_cannot_carry(monkeypatch):
    """An action whose secret the channel cannot carry is refused with a sentence, whether named or by default."""
    capabilities = Capabilities(actions=frozenset(), can_be_confirmed=True)
    monkeypatch.setattr(channel_list, "CHANNELS", dict.fromkeys(Channel, capabilities))
    for named in ({}, {"channel": "sms"}, {"action": "code"}, {"channels": [{"channel": "sms"}]}):
        with pytest.raises(ValidationError, match="A message by sms cannot carry the action code"):
            issue(**named)
