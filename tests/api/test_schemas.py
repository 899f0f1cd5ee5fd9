"""Promises of `service.api.v1.schemas`: strict on the way in, complete and masked where it must be on the way out."""

import json

import pytest
from pydantic import ValidationError
from pydantic_core import to_json

from service.api.v1 import schemas
from service.api.v1.schemas import (
    CheckBody,
    CheckResponse,
    IssueBody,
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
    """Read an issue from JSON, as the endpoint does."""
    return IssueBody.model_validate_json(json.dumps({"to": "+14155550123", **fields}))


def request_of(body, caller=None):
    """Hand a body on, with the number that the rules would read from it."""
    return body.to_request(PhoneNumber("+14155550123", "US"), caller)


def check(**fields):
    """Read a check from JSON, as the endpoint does."""
    return CheckBody.model_validate_json(json.dumps(fields))


def test_what_is_left_out_has_its_default():
    """A number alone is enough: SMS, a typed code, login, English; length and life are left to the settings."""
    asked = request_of(issue(), "digest")
    assert (asked.number.e164, asked.channel, asked.client_ip, asked.caller) == (
        "+14155550123", Channel.SMS, None, "digest",
    )  # fmt: skip
    assert asked.request == VerificationRequest("US", purpose="login", locale="en", action=Action.CODE)


@pytest.mark.parametrize(
    "fields",
    [
        {"channel": "sms", "action": "code", "purpose": "a-b_9", "locale": "de"},
        {"code_length": 4},
        {"code_length": 8, "ttl_seconds": 30},
        {"ttl_seconds": 600},
        {"client_ip": "192.0.2.7"},
        {"client_ip": "2001:db8::1"},
        {"web_origin": "example.com"},
        {"web_origin": "https://login.example.com"},
        {"app_hash": "FA+9qCX9VSu"},
        {"web_origin": "https://" + "x." * 31 + "xx"},
        {"country": "GB"},
        {"reference": "x" * 64},
        {"reference": "order 1/2"},
    ],
)
def test_what_is_documented_is_accepted(fields):
    """Every documented value, and every limit itself, is accepted and handed on."""
    asked = request_of(issue(**fields))
    handed_on = asked._asdict() | asked.request._asdict()
    for name, value in fields.items():
        if name == "country":
            continue  # read with the number
        assert handed_on[name] == (value.removeprefix("https://") if name == "web_origin" else value)


@pytest.mark.parametrize(
    "fields",
    [
        {"to": None}, {"to": 14155550123}, {"to": ["+14155550123"]}, {"to": "+" + "1" * 64},
        {"channel": "call"}, {"channel": "SMS"}, {"action": "link"}, {"action": 1},
        {"purpose": ""}, {"purpose": "Log in"}, {"purpose": "x" * 33}, {"purpose": "login\n"}, {"purpose": "\uff41"},
        {"locale": "xx"}, {"locale": "EN"}, {"locale": ""},
        {"code_length": 3}, {"code_length": 9}, {"code_length": "6"}, {"code_length": 6.5}, {"code_length": True},
        {"ttl_seconds": 29}, {"ttl_seconds": 601}, {"ttl_seconds": -1}, {"ttl_seconds": "60"},
        {"client_ip": "192.0.2"}, {"client_ip": "192.0.2.7/24"}, {"client_ip": "localhost"}, {"client_ip": ""},
        {"client_ip": "fe80::1%eth0"},
        {"web_origin": "http://example.com"}, {"web_origin": "example.com/path"}, {"web_origin": "a b.com"},
        {"web_origin": "example.com\n@evil.com #123456"}, {"web_origin": "-example.com"},
        {"web_origin": "a..b"}, {"web_origin": "a.-b"}, {"web_origin": "a."}, {"web_origin": "x" * 64}, {"web_origin": "https://"},
        {"web_origin": "x." * 32 + "x"}, {"country": "UK"}, {"country": "us"}, {"country": "001"}, {"country": ""},
        {"app_hash": "FA+9qCX9VS"}, {"app_hash": "FA+9qCX9VSu="}, {"app_hash": "FA+9qCX9VSu", "web_origin": "a.com"},
        {"reference": ""}, {"reference": "x" * 65}, {"reference": "ü"}, {"reference": "a\tb"}, {"reference": 1},
        {"unknown": 1}, {"caller": "digest"}, {"client_tag": "x"}, {"To": "+14155550123"},
    ],
)  # fmt: skip
def test_what_is_not_documented_is_refused(fields):
    """Nothing is coerced, trimmed, translated or ignored: a wrong type, case, length or name is refused."""
    with pytest.raises(ValidationError):
        issue(**fields)


def test_a_whole_number_may_be_written_with_a_point():
    """To JSON Schema 6.0 is the integer 6, so it is to us; bounds hold for it, and text never becomes a number."""
    assert request_of(issue(code_length=6.0, ttl_seconds=1e2)).request.code_length == 6
    with pytest.raises(ValidationError):
        issue(code_length=9.0)
    for text in ("NaN", "Infinity", "1e400", "6.0000001"):
        with pytest.raises(ValidationError):
            IssueBody.model_validate_json(f'{{"to": "+14155550123", "code_length": {text}}}')


@pytest.mark.parametrize("name", [name for name in IssueBody.model_fields if name != "to"])
def test_null_is_as_good_as_absent(name):
    """Every field but the number may be null, and then means what it means when it is left out."""
    assert request_of(issue(**{name: None})) == request_of(issue())


@pytest.mark.parametrize("name", ["to", "purpose"])
def test_null_is_as_good_as_absent_in_a_check(name):
    """So may every field of a check but the code."""
    assert check(code="1234", **{name: None}) == check(code="1234")


@pytest.mark.parametrize("code", ["1234", "00000000", "123456"])
def test_a_code_is_a_string_of_4_to_8_digits(code):
    """Codes keep their leading zeros, and have 4 to 8 digits."""
    assert check(code=code).code == code


@pytest.mark.parametrize(
    "code", ["12 34", "12-34", "1234\n", "\uff11\uff12\uff13\uff14", "\u200f\u0661\u0662\u0663\u0664"]
)
def test_a_code_is_folded_before_anything_looks_at_it(code):
    """However 1234 is typed, what is handed on is 1234."""
    assert check(code=code).code == "1234"


@pytest.mark.parametrize("code", ["", "123", "123456789", "1234 56789", "+1234", "12.34", "123²", 1234, None, ["1234"]])
def test_anything_else_is_no_code(code):
    """What is no code is refused before it costs an attempt."""
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
        "expires_at_ms": 600_000, "attempts": 2, "resend_at_ms": 30_000, "sends": (send(1),),
    }  # fmt: skip
    return Verification(**{**fields, **changes})


ANSWERS = ResponseWriter(max_attempts=5, max_sends=3)


def left(shown):
    """Read what an answer says is left."""
    return shown["attempts_remaining"], shown["sends_remaining"], shown["resend_at"]


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        (VerificationResponse, ANSWERS.verification(verification(), masked=False)),
        (VerificationResponse, ANSWERS.verification(verification(request=ASKED, status=Status.FAILED), masked=True)),
        (IssueResponse, ANSWERS.issued(verification(), "vt_x")),
        (CheckResponse, ANSWERS.check(CheckResult(verdict=Verdict.EXPIRED, verification=verification()), masked=False)),
    ],
)
def test_an_answer_is_what_its_model_describes(model, shown):
    """Written without its model, an answer has each field of it and no other, in its order and with its types."""
    assert list(shown) == list(model.model_fields)
    assert [list(sent) for sent in shown["sends"]] == [list(SendResponse.model_fields)]
    assert model.model_validate_json(to_json(shown), strict=True).model_dump(mode="json") == shown


def test_an_answer_counts_down_from_the_limits():
    """What is left of attempts and sends is the limit less what was used, and never below zero."""
    shown = ANSWERS.verification(verification(), masked=False)
    assert left(shown) == (3, 2, "1970-01-01T00:00:30.000Z")
    many = verification(attempts=9, sends=tuple(send(n) for n in range(1, 6)))
    shown = ANSWERS.verification(many, masked=False)
    assert left(shown) == (0, 0, None)


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PENDING])
def test_what_has_ended_cannot_be_sent_again(status):
    """Only a pending verification says when its next code may be sent."""
    assert ANSWERS.verification(verification(status=status), masked=False)["resend_at"] is None


def test_a_front_end_sees_two_digits_of_the_number():
    """Masked answers show the last two digits and the length of the number, and the back end's show all of it."""
    assert ANSWERS.verification(verification(), masked=True)["to"] == "••••••••••23"
    checked = CheckResult(verdict=Verdict.WRONG_CODE, verification=verification())
    assert ANSWERS.check(checked, masked=True)["to"] == "••••••••••23"
    assert ANSWERS.issued(verification(), "vt_x")["to"] == "+14155550123"


@pytest.mark.parametrize("verdict", Verdict)
def test_only_approved_is_valid(verdict):
    """`valid` is true for the verdict `approved` and for no other."""
    checked = CheckResult(verdict=verdict, verification=verification())
    assert ANSWERS.check(checked, masked=False)["valid"] == (verdict is Verdict.APPROVED)


def test_no_response_holds_internal_values():
    """Message SIDs and the texts' particulars stay inside; the client token is in the answer to the issue alone."""
    kept = verification(client_tag="tag", sends=(send(1, idempotency_tag="tag"),))
    shown = ANSWERS.verification(kept, masked=False)
    assert not {"sid", "locale", "web_origin", "app_hash", "ttl_seconds", "client_token", "client_tag"} & set(shown)
    assert set(shown["sends"][0]) == {"number", "channel", "status", "error_code", "sent_at", "feedback"}


def test_a_channel_is_refused_for_an_action_that_it_cannot_carry(monkeypatch):
    """An action whose secret the channel cannot carry is refused with a sentence, named or left to the default."""
    capabilities = Capabilities(actions=frozenset(), can_be_confirmed=True)
    monkeypatch.setattr(schemas, "CHANNELS", dict.fromkeys(Channel, capabilities))
    for named in ({}, {"channel": "sms"}, {"action": "code"}):
        with pytest.raises(ValidationError, match="a message by sms cannot carry the action code"):
            issue(**named)
