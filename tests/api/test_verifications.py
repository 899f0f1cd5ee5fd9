"""The promises of `service.api.v1.verifications`: what the main endpoints accept, return and repeat."""

import asyncio
import re
from datetime import datetime

import pytest

from service.core.api_keys import key_digest
from service.core.own_texts import read_own_texts

ISSUE = "/v1/verifications"
NUMBER = "+14155550123"


def instant(text):
    """Parse an RFC 3339 instant; return seconds."""
    return datetime.fromisoformat(text).timestamp()


async def test_an_issue_returns_201_with_location(running):
    """A new verification has a Location, a token, one send and all attempts; only the message has the code."""
    status, issued, headers = await running.call("POST", ISSUE, {"to": NUMBER, "reference": "order-1"})
    assert (status, headers["Location"]) == (201, f"{ISSUE}/{issued['id']}")
    assert re.fullmatch("ve_[0-9a-f]{32}", issued["id"])
    assert issued["client_token"].startswith("vt_")
    [send] = issued["sends"]
    assert (send["number"], send["channel"], send["status"], send["feedback"]) == (1, "sms", "queued", "none")
    got = {name: issued[name] for name in ("status", "to", "purpose", "reference", "country", "attempts_remaining")}
    assert got == {
        "status": "pending", "to": NUMBER, "purpose": "login", "reference": "order-1", "country": "US",
        "attempts_remaining": 5,
    }  # fmt: skip
    assert instant(issued["expires_at"]) - instant(issued["created_at"]) == pytest.approx(600, abs=0.01)
    [code] = running.codes()
    assert code not in str({name: value for name, value in issued.items() if name not in ("id", "client_token")})
    status, read, _ = await running.call("GET", headers["Location"])
    assert (status, read["id"]) == (200, issued["id"])


async def test_an_issue_uses_the_options_of_the_request(running):
    """Length, lifetime, purpose and language are those of the request, if given."""
    issued = await running.issue(code_length=8, ttl_seconds=60, purpose="sign-up", locale="de")
    assert (issued["code_length"], issued["purpose"]) == (8, "sign-up")
    assert instant(issued["expires_at"]) - instant(issued["created_at"]) == pytest.approx(60, abs=0.01)
    [message] = running.messages()
    assert re.search(r"lautet [0-9]{8}\.", message.body)


@pytest.mark.parametrize(
    ("asked", "used", "word"),
    [
        ("de-AT", "de", "lautet"),
        ("FR_ca", "fr", "Votre"),
        ("tlh", "it", "tuo"),
        (None, "it", "tuo"),
        ("en", "en", "Your"),
    ],
)
async def test_the_response_names_the_language_of_the_text(start, asked, used, word):
    """The message is in the nearest language that we have, otherwise in that of OTP_LOCALE; the response says which."""
    service = await start(otp_locale="it", otp_limit_number="")
    issued = await service.issue(locale=asked)
    assert issued["locale"] == used
    assert (await service.call("POST", f"{ISSUE}/{issued['id']}/resend"))[0] == 200
    assert [word in message.body for message in service.messages()] == [True, True]


async def test_a_country_has_its_own_text(start):
    """With OTP_TEXTS a number of India gets what is registered there, to the character; the code in it is accepted."""
    own = read_own_texts({"country": {"IN": {"code": "{code} is your OTP for login at {brand}. EXMPLE"}}})
    service = await start(otp_texts=own, otp_countries=("IN", "US"), otp_brand="Rooster")
    issued = await service.issue(to="+919876543210", web_origin="login.example.com")
    [message] = service.messages("+919876543210")
    [code] = service.codes("+919876543210")
    assert message.body == f"{code} is your OTP for login at Rooster. EXMPLE"
    assert (await service.verify(issued["id"], code))["verdict"] == "approved"


async def test_each_message_is_for_the_frame(start):
    """With `embedded_origin` the message ends with the host of the frame, that of a resend too."""
    service = await start(otp_limit_number="")
    issued = await service.issue(web_origin="shop.example", embedded_origin="https://pay.example")
    assert (await service.call("POST", f"{ISSUE}/{issued['id']}/resend"))[0] == 200
    endings = [message.body.split("\n")[-1] for message in service.messages()]
    assert endings == [f"@shop.example #{code} @pay.example" for code in service.codes()]
    assert len(set(endings)) == 2


async def test_hosts_that_leave_no_room_are_refused(running, expect):
    """Two hosts that do not fit into one message are refused before anything is stored or sent."""
    asked = {"to": NUMBER, "web_origin": "o" * 63, "embedded_origin": "p" * 63}
    problem = expect(await running.call("POST", ISSUE, asked), 422, "invalid_request")
    [error] = problem["errors"]
    assert error["pointer"] == "/embedded_origin"
    assert error["detail"] == "The hosts of web_origin and embedded_origin are too long for one message."
    assert running.messages() == []


async def test_every_verdict_is_a_200(running):
    """A check returns 200 with every verdict; `valid` is true once."""
    issued = await running.issue()
    [code] = running.codes()
    wrong = "000000" if code != "000000" else "111111"
    seen = [await running.verify(issued["id"], typed) for typed in (wrong, code, code)]
    assert [(body["valid"], body["verdict"], body["status"]) for body in seen] == [
        (False, "wrong_code", "pending"),
        (True, "approved", "approved"),
        (False, "used", "approved"),
    ]


async def test_an_approval_cannot_be_swapped(running):
    """The right code with another number or purpose is a `mismatch`, and stays valid for its own."""
    issued = await running.issue()
    [code] = running.codes()
    for other in ({"to": "+14155550124"}, {"purpose": "payment"}):
        body = await running.verify(issued["id"], code, **other)
        assert (body["valid"], body["verdict"]) == (False, "mismatch")
    assert (await running.verify(issued["id"], code, to=NUMBER, purpose="login"))["verdict"] == "approved"


async def test_a_canceled_verification_approves_nothing(running):
    """After a cancel the code is refused, and a second cancel changes nothing."""
    issued = await running.issue()
    for _ in range(2):
        status, body, _ = await running.call("POST", f"{ISSUE}/{issued['id']}/cancel")
        assert (status, body["status"], body["resend_at"]) == (200, "canceled", None)
    assert (await running.verify(issued["id"], running.codes()[0]))["verdict"] == "canceled"


async def test_a_cancel_does_not_undo_an_approval(running):
    """An approved verification stays approved."""
    issued = await running.issue()
    await running.verify(issued["id"], running.codes()[0])
    status, body, _ = await running.call("POST", f"{ISSUE}/{issued['id']}/cancel")
    assert (status, body["status"]) == (200, "approved")


async def test_a_repeated_issue_gets_the_first_response_again(running):
    """The same Idempotency-Key and body get the same response, marked as repeated, and no second SMS."""
    body, key = {"to": NUMBER}, {"Idempotency-Key": "order-1"}
    first = await running.call("POST", ISSUE, body, headers=key)
    again = await running.call("POST", ISSUE, body, headers=key)
    assert first[0] == 201
    assert (again[0], again[1]) == (first[0], first[1])
    assert again[2]["Location"] == first[2]["Location"]
    assert (first[2].get("Idempotent-Replayed"), again[2]["Idempotent-Replayed"]) == (None, "true")
    assert len(running.messages()) == 1


async def test_an_idempotency_key_belongs_to_one_body(running, expect):
    """The same key with another body gets a 422, and nothing is sent."""
    key = {"Idempotency-Key": "order-1"}
    await running.call("POST", ISSUE, {"to": NUMBER}, headers=key)
    response = await running.call("POST", ISSUE, {"to": NUMBER, "locale": "de"}, headers=key)
    expect(response, 422, "idempotency_key_reused")
    assert len(running.messages()) == 1


SAME_REQUEST = [
    '{"to": "+14155550123", "ttl_seconds": 600, "client_ip": "2001:db8::1"}',
    ' {"client_ip":"2001:db8::1","ttl_seconds":600,"to":"+14155550123"}\n',
    '{"to": "+1 (415) 555-0123", "ttl_seconds": 600.0, "client_ip": "2001:DB8:0::1"}',
    '{"to": "415 555 0123", "country": "US", "ttl_seconds": 6e2, "client_ip": "2001:db8::1", "reference": null}',
    '{"to": "\\u002b14155550123", "ttl_seconds": 600, "client_ip": "2001:db8::1", "channel": "sms", "locale": "en"}',
]


async def test_an_idempotency_key_belongs_to_values_not_to_bytes(running, post_raw):
    """Order, spaces, escapes, null, explicit defaults or another spelling: the same request, sent once."""
    key = {"Idempotency-Key": "order-1"}
    responses = [await post_raw(running, ISSUE, body.encode(), **key) for body in SAME_REQUEST]
    assert [status for status, _, _ in responses] == [201] * len(SAME_REQUEST)
    assert len({body["id"] for _, body, _ in responses}) == len(running.messages()) == 1
    other = SAME_REQUEST[0].replace("600", "599")
    assert (await post_raw(running, ISSUE, other.encode(), **key))[1]["code"] == "idempotency_key_reused"


async def test_no_body_and_an_empty_object_are_the_same_resend(running, post_raw):
    """For the Idempotency-Key, no body and `{}` are the same resend."""
    issued = await running.issue()
    path, key = f"{ISSUE}/{issued['id']}/resend", {"Idempotency-Key": "again"}
    responses = [await post_raw(running, path, body, **key) for body in (b"", b"{}", b" { }")]
    assert [(status, len(body["sends"])) for status, body, _ in responses] == [(200, 2)] * 3


async def test_a_number_is_returned_as_e164(running, expect):
    """Whatever the spelling of `to`, responses show E.164; a check accepts any spelling of the same number only."""
    status, issued, _ = await running.call("POST", ISSUE, {"to": "(415) 555\u20110123", "country": "US"})
    assert (status, issued["to"], issued["country"]) == (201, "+14155550123", "US")
    [code] = running.codes()
    assert (await running.verify(issued["id"], code, to="+1 415 555 0124"))["verdict"] == "mismatch"
    assert (await running.verify(issued["id"], code, to="\u202a+1 415 555 0123\u202c"))["verdict"] == "approved"
    refused = await running.call("POST", ISSUE, {"to": "(415) 555-0123"})
    assert "a plus sign and the country code" in expect(refused, 422, "invalid_number")["detail"]


async def test_simultaneous_repeats_send_once(running, expect):
    """Of ten simultaneous issues with one key one sends; the others get its response, or a 409 meanwhile."""
    key = {"Idempotency-Key": "order-1"}
    responses = await asyncio.gather(*(running.call("POST", ISSUE, {"to": NUMBER}, headers=key) for _ in range(10)))
    created = {response[1]["id"] for response in responses if response[0] == 201}
    assert len(created) == len(running.messages()) == 1
    for response in responses:
        if response[0] != 201:
            expect(response, 409, "request_in_progress")


async def test_a_repeated_resend_sends_once(running):
    """The same key on the resend gets the same response and one more SMS, not two."""
    issued = await running.issue()
    path = f"{ISSUE}/{issued['id']}/resend"
    responses = [await running.call("POST", path, headers={"Idempotency-Key": "again"}) for _ in range(2)]
    assert [(status, len(body["sends"])) for status, body, _ in responses] == [(200, 2), (200, 2)]
    assert len(running.messages()) == 2


async def test_a_repeated_check_keeps_its_verdict(running, expect):
    """After a lost response an approval does not become `used`: same key, same verdict; another code gets a 422."""
    issued = await running.issue()
    [code] = running.codes()
    path, key = f"{ISSUE}/{issued['id']}/verify", {"Idempotency-Key": "check-1"}
    verdicts = [(await running.call("POST", path, {"code": code}, headers=key))[1]["verdict"] for _ in range(2)]
    assert verdicts == ["approved", "approved"]
    wrong = "000000" if code != "000000" else "111111"
    expect(await running.call("POST", path, {"code": wrong}, headers=key), 422, "idempotency_key_reused")
    assert (await running.verify(issued["id"], code))["verdict"] == "used"


async def test_two_callers_may_use_the_same_idempotency_key(running, redis, eventually):
    """An Idempotency-Key belongs to one API key: another caller's equal request is separate."""
    other = "otp_sk_of-another-caller"
    redis.hset("otp:keys", key_digest(other), '{"name":"other","scopes":["verifications"]}')
    body, headers = {"to": NUMBER}, {"Idempotency-Key": "order-1"}
    _, first, _ = await running.call("POST", ISSUE, body, headers=headers)

    async def by_the_other():
        response = await running.call("POST", ISSUE, body, key=other, headers=headers)
        return response if response[0] != 401 else None  # a new key is known within a second

    status, second, answered = await eventually(by_the_other)
    assert (status, answered.get("Idempotent-Replayed")) == (201, None)
    assert second["id"] != first["id"]
    assert len(running.messages()) == 2


async def test_two_front_ends_may_use_the_same_idempotency_key(running):
    """A front end's Idempotency-Key belongs to its verification: the resend of another one is separate."""
    issued, other = await running.issue(), await running.issue(to="+14155550124")
    for one in (issued, other):
        status, body, _ = await running.call(
            "POST", f"{ISSUE}/{one['id']}/resend", key=one["client_token"], headers={"Idempotency-Key": "k"}
        )
        assert (status, body["id"], len(body["sends"])) == (200, one["id"], 2)


async def test_an_idempotency_key_is_visible_ascii(running, expect):
    """A key that could be changed in transit is refused before anything is sent or checked."""
    verify = f"{ISSUE}/ve_{'0' * 32}/verify"
    for key in ("", "x" * 256, "two words", "ümlaut", "tab\tkey"):
        headers = {"Idempotency-Key": key}
        expect(await running.call("POST", ISSUE, {"to": NUMBER}, headers=headers), 400, "invalid_idempotency_key")
        expect(await running.call("POST", verify, {"code": "123456"}, headers=headers), 400, "invalid_idempotency_key")
    assert running.messages() == []


def counted(redis):
    """Return the current counts, by kind of limit."""
    counts = {}
    for key in redis.scan_iter("otp:limit:*"):
        kind = key.decode().split(":")[2]
        counts[kind] = counts.get(kind, 0) + sum(int(count) for count in redis.hvals(key))
    return counts


EVERY_LIMIT = {f"otp_limit_{kind}": "50/1h" for kind in ("ip", "prefix", "country", "day", "key")}
ONE_OF_EACH = dict.fromkeys(("client_ip", "prefix", "country", "day", "api_key"), 1)


async def test_a_send_counts_once_under_each_limit(start, redis):
    """An issue counts one for address, prefix, country, day and API key, and its resend one more."""
    service = await start(**EVERY_LIMIT)
    issued = await service.issue(client_ip="192.0.2.7")
    assert counted(redis) == ONE_OF_EACH
    assert (await service.call("POST", f"{ISSUE}/{issued['id']}/resend"))[0] == 200
    assert counted(redis) == dict.fromkeys(ONE_OF_EACH, 2)


async def test_a_front_ends_resend_counts_under_the_address_and_the_key_of_the_issue(start, redis):
    """A resend by client token counts for the issue's address and for its API key."""
    service = await start(**EVERY_LIMIT)
    issued = await service.issue(client_ip="192.0.2.7")
    status, _, _ = await service.call("POST", f"{ISSUE}/{issued['id']}/resend", key=issued["client_token"])
    assert status == 200
    assert counted(redis) == dict.fromkeys(ONE_OF_EACH, 2)


async def test_resends_stop_at_the_limit_of_the_address(start, expect):
    """With `OTP_LIMIT_IP` issues and resends for one address share a limit, whoever requests the resend."""
    service = await start(otp_limit_ip="2/1h")
    issued = await service.issue(client_ip="192.0.2.7")
    other = await service.issue(to="+14155550124", client_ip="192.0.2.7")
    for credential in (None, issued["client_token"]):
        expect(await service.call("POST", f"{ISSUE}/{issued['id']}/resend", key=credential), 429, "rate_limited")
    assert (await service.call("GET", f"{ISSUE}/{other['id']}"))[1]["sends_remaining"] == 4
    elsewhere = await service.issue(client_ip="192.0.2.8")
    assert (await service.call("POST", f"{ISSUE}/{elsewhere['id']}/resend"))[0] == 200


async def test_an_api_key_has_its_own_limit(start, redis, expect, eventually):
    """With `OTP_LIMIT_KEY` one caller's loop is stopped, and another caller is not affected."""
    service = await start(otp_limit_key="2/1h")
    for _ in range(2):
        issued = await service.issue()
    expect(await service.call("POST", ISSUE, {"to": NUMBER}), 429, "rate_limited")
    expect(await service.call("POST", f"{ISSUE}/{issued['id']}/resend"), 429, "rate_limited")
    other = "otp_sk_of-another-caller"
    redis.hset("otp:keys", key_digest(other), '{"name":"other","scopes":["verifications"]}')

    async def by_the_other():
        response = await service.call("POST", ISSUE, {"to": NUMBER}, key=other)
        return response if response[0] != 401 else None  # a new key is known within a second

    assert (await eventually(by_the_other))[0] == 201


async def test_refused_and_repeated_requests_count_nowhere(start, redis):
    """A repeat, another body, a reached limit, an ended verification: each returns its reserved units."""
    service = await start(**EVERY_LIMIT | {"otp_limit_number": "1/1h"})
    key = {"Idempotency-Key": "order-1"}
    request = {"to": NUMBER, "client_ip": "192.0.2.7"}
    status, issued, _ = await service.call("POST", ISSUE, request, headers=key)
    one = f"{ISSUE}/{issued['id']}"
    assert status == 201
    refused = [
        await service.call("POST", ISSUE, request, headers=key),
        await service.call("POST", ISSUE, {**request, "locale": "de"}, headers=key),
        await service.call("POST", ISSUE, request),
        await service.call("POST", f"{one}/resend"),
        await service.call("POST", f"{one}/cancel"),
        await service.call("POST", f"{one}/resend"),
    ]
    assert [status for status, _, _ in refused] == [201, 422, 429, 429, 200, 409]
    assert counted(redis) == ONE_OF_EACH


@pytest.mark.parametrize(
    ("fault", "status", "left"),
    [({"kind": "429", "seconds": 30}, 503, {}), ({"kind": "refuse", "code": 21610}, 422, ONE_OF_EACH)],
)
async def test_a_send_that_busy_twilio_refused_counts_nowhere(start, redis, fault, status, left):
    """A message that busy Twilio did not accept returns its units; a permanently refused one stays counted."""
    service = await start(**EVERY_LIMIT)
    plan = {"endpoint": "messages", **fault}
    async with service.http.post(f"{service.sandbox_url}/_/faults", json=plan) as response:
        assert response.status < 300
    got, _, _ = await service.call("POST", ISSUE, {"to": NUMBER, "client_ip": "192.0.2.7"})
    assert got == status
    assert counted(redis) == left


async def test_simultaneous_issues_under_a_days_limit_count_what_was_sent(start, redis):
    """Of 30 simultaneous issues under a daily limit of 5, five send, and no other limit counts a sixth."""
    service = await start(**EVERY_LIMIT | {"otp_limit_day": "5/1d"})
    requests = [{"to": f"+1415555{number:04d}", "client_ip": "192.0.2.7"} for number in range(100, 130)]
    responses = await asyncio.gather(*(service.call("POST", ISSUE, request) for request in requests))
    assert sorted(status for status, _, _ in responses) == [201] * 5 + [429] * 25
    assert len(service.sandbox.ledger.messages()) == 5
    assert counted(redis) == dict.fromkeys(ONE_OF_EACH, 5)
