"""The promises of `service.http.problems`: each error is one RFC 9457 problem that repeats nothing of the request."""

import json
import re

import pytest

from service.core.actions import Action
from service.core.checking import Checking
from service.core.limits import Limit, Limited, parse_limits
from service.core.sender import Refusal
from service.core.store_health import StoreUnavailable
from service.core.verification import Status
from service.http.endings import ENDINGS, EVERY_ENDING
from service.http.problem_catalogue import CATALOGUE, FOR_THE_FORM
from service.http.problems import problem_of

UNKNOWN = "/v1/verifications/ve_" + "0" * 32
ISSUE = "/v1/verifications"


async def test_each_refusal_has_its_own_problem(running, expect, post_raw):
    """Each error in a request has one status, one code and one title."""
    expect(await post_raw(running, ISSUE, b"{"), 400, "malformed_body")
    expect(await running.call("POST", ISSUE, {"to": "+14155550123"}, key="otp_sk_unknown"), 401, "unauthenticated")
    expect(await running.call("GET", UNKNOWN), 404, "unknown_verification")
    expect(await running.call("GET", "/v1/nothing"), 404, "not_found")
    expect(await running.call("DELETE", UNKNOWN), 405, "method_not_allowed")
    expect(await post_raw(running, ISSUE, b" " * 5000), 413, "body_too_large")
    expect(await post_raw(running, ISSUE, b"{}", "text/plain"), 415, "unsupported_media_type")
    expect(await running.call("POST", ISSUE, {}), 422, "invalid_request")
    expect(await running.call("POST", ISSUE, {"to": "+1415555"}), 422, "invalid_number")
    expect(await running.call("POST", ISSUE, {"to": "+818012345678"}), 422, "country_not_allowed")
    response = await running.call("POST", ISSUE, {"to": "+14155550123"}, headers={"Idempotency-Key": "two words"})
    expect(response, 400, "invalid_idempotency_key")


async def test_a_401_names_the_scheme(running, expect):
    """A 401 names the authentication scheme, as RFC 9110 requires."""
    async with running.http.get(UNKNOWN) as response:
        expect((response.status, await response.json(content_type=None), response.headers), 401, "unauthenticated")
        assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_a_resend_after_the_end_is_a_conflict(running, expect):
    """A resend of a verification that has ended gets a 409 that says how it ended."""
    issued = await running.issue()
    await running.call("POST", f"{ISSUE}/{issued['id']}/cancel")
    body = expect(await running.call("POST", f"{ISSUE}/{issued['id']}/resend"), 409, "not_pending")
    assert (body["detail"], body["verification_id"]) == ("This verification was canceled. Start again.", issued["id"])


async def test_a_resend_beyond_the_last_send_is_a_conflict(start, expect):
    """A resend over `OTP_MAX_SENDS` gets a 409 `max_sends_reached`."""
    service = await start(otp_max_sends=1)
    issued = await service.issue()
    expect(await service.call("POST", f"{ISSUE}/{issued['id']}/resend"), 409, "max_sends_reached")


async def test_a_used_up_limit_has_retry_after(start, expect):
    """A 429 has the same wait in its Retry-After header and in `retry_after`."""
    service = await start(otp_limit_number="1/30s")
    await service.issue()
    body = expect(await service.call("POST", ISSUE, {"to": "+14155550123"}), 429, "rate_limited")
    assert 25 <= body["retry_after"] <= 30
    assert set(body) == {"type", "code", "title", "status", "request_id", "detail", "retry_after", "limit"}


SPOKEN = {
    "number": "otp_limit_number", "client_ip": "otp_limit_ip", "api_key": "otp_limit_key", "prefix": "otp_limit_prefix",
    "country": "otp_limit_country", "day": "otp_limit_day", "sms": "otp_limit_sms",
}  # fmt: skip


@pytest.mark.parametrize("limit", SPOKEN)
async def test_an_api_key_gets_the_name_of_the_limit(start, expect, limit):
    """To an API key a 429 names the limit, in `limit` and in the RateLimit headers of the IETF draft; the log too."""
    events = []
    service = await start(
        **{SPOKEN[limit]: "1/1h,9/1d"}, event_log=lambda event, /, **fields: events.append((event, fields))
    )
    issued = await service.issue(client_ip="192.0.2.7")
    again = {"to": "+14155550123", "client_ip": "192.0.2.7"}
    for path, body in ((ISSUE, again), (f"{ISSUE}/{issued['id']}/resend", None)):
        response = await service.call("POST", path, body)
        problem = expect(response, 429, "rate_limited")
        assert problem["limit"] == limit
        assert response[2]["RateLimit-Policy"] == f'"{limit}";q=1;w=3600, "{limit}";q=9;w=86400'
        assert response[2]["RateLimit"] == f'"{limit}";r=0;t={problem["retry_after"]}'
    assert [fields["limit"] for _, fields in events if fields.get("status") == 429] == [limit, limit]


async def test_failed_checks_are_a_limit_of_their_own(start, expect):
    """When failed checks block a number, the problem names that limit, not the limit of sends."""
    service = await start(otp_limit_failed_checks="2/1d", otp_limit_number="1/30s,9/1h")
    issued = await service.issue()
    for _ in range(2):
        await service.verify(issued["id"], "0000")
    response = await service.call("POST", ISSUE, {"to": "+14155550123"})
    assert expect(response, 429, "rate_limited")["limit"] == "failed_checks"
    assert response[2]["RateLimit-Policy"] == '"failed_checks";q=2;w=86400'


@pytest.mark.parametrize("setting", ["otp_limit_number", "otp_limit_prefix", "otp_limit_peer"])
async def test_a_client_token_gets_only_the_wait(start, expect, setting):
    """A client token gets neither the name nor the size of a limit; both are logged."""
    events = []
    service = await start(**{setting: "1/1h"}, event_log=lambda event, /, **fields: events.append((event, fields)))
    issued = await service.issue()
    for _ in range(2):
        response = await service.call("POST", f"{ISSUE}/{issued['id']}/resend", key=issued["client_token"])
    problem = expect(response, 429, "rate_limited")
    assert set(problem) == {"type", "code", "title", "status", "request_id", "detail", "retry_after"}
    assert not [name for name in response[2] if name.lower().startswith("ratelimit")]
    logged = {fields["limit"] for _, fields in events if fields.get("status") == 429}  # callbacks are logged too
    assert logged == {setting.removeprefix("otp_limit_")}


async def test_a_missing_client_ip_is_a_problem(start, expect):
    """With `OTP_REQUIRE_CLIENT_IP` an issue without `client_ip` gets a 422, and with it a 201."""
    service = await start(otp_require_client_ip=True)
    expect(await service.call("POST", ISSUE, {"to": "+14155550123"}), 422, "client_ip_required")
    await service.issue(client_ip="192.0.2.7")


@pytest.mark.parametrize(
    ("code", "status", "problem"),
    [
        (21211, 422, "invalid_number"),
        (21408, 422, "country_not_allowed"),
        (21610, 422, "recipient_opted_out"),
        (21614, 422, "not_a_mobile_number"),
        (21212, 502, "sender_misconfigured"),
    ],
)
async def test_a_refusal_of_twilio_names_the_verification_that_failed(start, expect, code, status, problem):
    """If Twilio permanently refuses a send, the problem has the verification's id, and its status is `failed`."""
    service = await start()
    await plan_fault(service, {"endpoint": "messages", "kind": "refuse", "code": code, "count": 1})
    body = expect(await service.call("POST", ISSUE, {"to": "+14155550123"}), status, problem)
    assert (await service.read(body["verification_id"]))["status"] == "failed"


async def test_busy_twilio_is_a_503_with_its_wait(start, expect):
    """Twilio's 429 with a long Retry-After becomes a 503 `provider_unavailable` with that wait."""
    service = await start()
    await plan_fault(service, {"endpoint": "messages", "kind": "429", "seconds": 30})
    body = expect(await service.call("POST", ISSUE, {"to": "+14155550123"}), 503, "provider_unavailable")
    assert body["retry_after"] == 30


async def test_without_redis_each_endpoint_returns_503(start, gate, expect):
    """Without Redis, issue, verify, resend, cancel and read all return 503 `store_unavailable`, never 500."""
    service = await start(redis_url=gate.url)
    issued = await service.issue()
    await gate.shut()
    one = f"{ISSUE}/{issued['id']}"
    expect(await service.call("POST", ISSUE, {"to": "+14155550123"}), 503, "store_unavailable")
    expect(await service.call("POST", one + "/verify", {"code": "000000"}), 503, "store_unavailable")
    expect(await service.call("POST", one + "/resend"), 503, "store_unavailable")
    expect(await service.call("POST", one + "/cancel"), 503, "store_unavailable")
    expect(await service.call("GET", one), 503, "store_unavailable")
    await gate.open()


async def test_an_unexpected_error_reveals_nothing(start, expect, monkeypatch):
    """An unexpected exception becomes a 500 problem without its message."""

    async def fail(*_):
        raise RuntimeError("leaked +14155550123 code 424242")

    monkeypatch.setattr(Checking, "read", fail)
    service = await start(otp_cors_origins="https://app.example")
    response = await service.call("GET", UNKNOWN, headers={"Origin": "https://app.example"})
    body = expect(response, 500, "internal_error")
    assert set(body) == {"type", "code", "title", "status", "request_id"}
    assert response[2]["Access-Control-Allow-Origin"] == "https://app.example"


async def test_a_refused_request_repeats_nothing(running, expect):
    """A 422 contains no value, no code, and no unknown field name that could be a code."""
    secrets = ("918273", "+14155559999", "hunter2", "918273645")
    bodies = [
        {"code": 918273},
        {"code": "918273x"},
        {"code": "918273645"},
        {"918273": "x"},
        {"code": "918273", "918273": 1, "hunter2": 2},
        {"code": ["918273"]},
        {"code": {"918273": "918273"}},
        {"code": "918273", "to": 14155559999},
        {"code": "918273", "purpose": "hunter2 hunter2"},
        {"code": "918273", "to": "+14155559999" * 6},
        ["918273"],
    ]
    for body in bodies:
        problem = expect(await running.call("POST", UNKNOWN + "/verify", body), 422, "invalid_request")
        assert not [secret for secret in secrets if secret in str(problem)], problem
        assert problem["errors"]


async def test_a_code_sent_as_a_number_is_explained(running, expect):
    """A code as a JSON number is refused with the reason; only the code's field mentions codes."""
    problem = expect(await running.call("POST", UNKNOWN + "/verify", {"code": 42, "to": 42}), 422, "invalid_request")
    assert {error["pointer"]: error["detail"] for error in problem["errors"]} == {
        "/code": "Send a JSON string. As a number a code would lose its leading zeros.",
        "/to": "Send a JSON string.",
    }


async def test_an_unknown_field_is_refused(running, expect):
    """A misspelt field is refused by name instead of being ignored."""
    problem = expect(await running.call("POST", ISSUE, {"to": "+14155550123", "chanel": "sms"}), 422, "invalid_request")
    assert problem["errors"] == [{"pointer": "/chanel", "detail": "This field is not known."}]
    assert running.messages() == []


NO_CODES = ["", "123", "12 3", "1234 56789", "²³¹²³¹", "12345O", "123.456", "123456\0", "123456" + " " * 64]


@pytest.mark.parametrize("code", NO_CODES, ids=ascii)
async def test_a_malformed_code_is_refused_in_a_sentence_for_the_form(running, expect, code):
    """`detail` is a sentence for the user; `errors` points the developer to the field."""
    problem = expect(await running.call("POST", UNKNOWN + "/verify", {"code": code}), 422, "invalid_request")
    assert problem["detail"] == "The code has 4 to 8 digits."
    assert problem["errors"] == [{"pointer": "/code", "detail": "The code has 4 to 8 digits."}]


async def test_a_broken_body_is_never_a_500(running, post_raw):
    """Malformed JSON, arrays, deep nesting, NaN, doubled keys, a BOM, broken UTF-8: 400 or 422, never 500."""
    bodies = [
        b"", b" ", b"{", b"null", b"true", b"[]", b"[1]", b'"text"', b"12", b"NaN", b"Infinity", b"-Infinity",
        b'{"code": NaN}', b'{"code": Infinity}', b'{"code": 1e999999}', b'{"code": ' + b"9" * 4000 + b"}",
        b"[" * 4000, b'{"a":' * 600 + b"1" + b"}" * 600, b'{"code":' + b"[" * 150 + b"]" * 150 + b"}",
        b'\xef\xbb\xbf{"code":"x"}', b'{"code":"\xff\xfe"}', b'{"code":"\\ud800"}', b'{"code":"\\u0000"}',
        b'{"code":"x","code":"y"}', b"{'code':'123456'}", b'{"code":"123456",}', b'{"code":"123456"} trailing',
        '{"code":"123456"}'.encode("utf-16"), '{"code":"123456"}'.encode("utf-32"), b"\x00" * 10, b"%00",
        b'{"__class__":"x"}', b'{"to":{"$gt":""}}', b'{"":""}', b'{"code":null}',
    ]  # fmt: skip
    for path in (ISSUE, UNKNOWN + "/verify"):
        for body in bodies:
            status, problem, _ = await post_raw(running, path, body)
            assert (status, problem["code"]) in {(400, "malformed_body"), (422, "invalid_request")}, body
    assert running.messages() == []


async def test_of_a_repeated_field_one_value_is_checked(running, post_raw):
    """A body with `code` twice costs one attempt and gets one verdict."""
    issued = await running.issue()
    [code] = running.codes()
    wrong = "0" * 6 if code != "0" * 6 else "1" * 6
    body = f'{{"code":"{code}","code":"{wrong}"}}'.encode()
    status, checked, _ = await post_raw(running, f"{ISSUE}/{issued['id']}/verify", body)
    assert (status, checked["verdict"], checked["attempts_remaining"]) == (200, "wrong_code", 4)


@pytest.mark.parametrize(
    ("field", "body", "detail"),
    [
        ("app_hash", {"web_origin": "a.example", "app_hash": "FA+9qCX9VSu"}, "Both web_origin and app_hash need"),
        ("origin_text", {"origin_text": "Berlin"}, "The field origin_text is only for the action link."),
        ("code_length", {"action": "password", "code_length": 6}, "The field code_length is only for the action code."),
        ("ttl_seconds", {"ttl_seconds": 601}, "The secret of the action code is valid for at most 600 seconds."),
        ("origin_text", {"action": "link", "origin_text": "x" * 81}, "String should have at most 80 characters."),
        ("origin_text", {"action": "link", "origin_text": "evil。example"}, "This text looks like an address."),
        (
            "origin_text",
            {"action": "link", "origin_text": "a\u202eb"},
            "This text has a character that cannot be seen.",
        ),
    ],
)
async def test_a_field_that_does_not_fit_is_pointed_at(running, expect, field, body, detail):
    """What is wrong with an issue is said of one field, also if it is wrong only beside another one."""
    problem = expect(await running.call("POST", ISSUE, {"to": "+14155550123", **body}), 422, "invalid_request")
    [error] = problem["errors"]
    assert error["pointer"] == f"/{field}"
    assert error["detail"].startswith(detail)
    assert running.messages() == []


@pytest.mark.parametrize("code", sorted(FOR_THE_FORM))
def test_details_for_a_form_are_sentences_for_users(code):
    """A front end may show `detail`: it ends with a full stop and names no field, header, setting or pattern."""
    said = [CATALOGUE[code].detail] if code != "not_pending" else EVERY_ENDING
    assert {action: set(endings) for action, endings in ENDINGS.items()} == dict.fromkeys(
        Action, set(Status) - {Status.PENDING}
    )
    for sentence in said:
        assert re.fullmatch(r"[A-Z][A-Za-z,:' ]*\. ?([A-Z][A-Za-z, ]*\.)?", sentence), sentence
        for word in ("Idempotency", "Retry", "JSON", "field", "errors", "Twilio", "Redis", "request", "id,", "API"):
            assert word not in sentence


async def test_a_byte_order_mark_is_named(running, expect, post_raw):
    """A body that starts with a BOM is refused with the reason, because editors do not show BOMs."""
    body = json.dumps({"to": "+14155550123"})
    for raw in (body.encode("utf-8-sig"), body.encode("utf-16"), b"\xfe\xff" + body.encode("utf-16-be")):
        problem = expect(await post_raw(running, ISSUE, raw), 400, "malformed_body")
        assert "byte order mark" in problem["detail"]
    assert "byte order mark" not in expect(await post_raw(running, ISSUE, b"{"), 400, "malformed_body")["detail"]


async def test_a_line_type_that_is_not_allowed_has_its_own_problem(start, expect):
    """With `OTP_LINE_TYPES` a landline is refused like by Twilio, before anything is sent."""
    running = await start(otp_line_types="mobile")
    expect(await running.call("POST", ISSUE, {"to": "+442079460123"}), 422, "not_a_mobile_number")
    assert running.messages("+442079460123") == []


def test_every_code_has_an_error_status_and_its_own_title():
    """Each code of the catalogue has one status of 4xx or 5xx and a unique title."""
    assert all(400 <= kind.status <= 599 for kind in CATALOGUE.values())
    titles = [kind.title for kind in CATALOGUE.values()]
    assert len(set(titles)) == len(titles)
    assert set(Refusal) <= set(CATALOGUE)


def test_a_wait_is_at_least_one_whole_second():
    """Waits are rounded up to whole seconds, so that no client returns too early."""
    for wait_ms, seconds in ((1, "1"), (1000, "1"), (1001, "2")):
        headers = problem_of(Limited(wait_ms, Limit.NUMBER, parse_limits("1/30s"))).all_headers
        assert (headers["retry-after"], headers["ratelimit"]) == (seconds, f'"number";r=0;t={seconds}')
    assert problem_of(StoreUnavailable("otp:keys at redis.internal")).all_headers == {"retry-after": "1"}
    assert "internal" not in str(problem_of(StoreUnavailable("otp:keys at redis.internal")).members)


def test_an_unexpected_exception_has_no_problem():
    """Only exceptions in the table become problems; the route handles all others."""
    assert problem_of(RuntimeError("x")) is None
    assert problem_of(KeyError("x")) is None


async def plan_fault(service, plan):
    """Plan a fault in the simulator, over HTTP."""
    async with service.http.post(f"{service.sandbox_url}/_/faults", json=plan) as response:
        assert response.status < 300, await response.text()
