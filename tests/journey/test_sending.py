"""Issue and resend: the requests to Twilio, their order, and the result of each of Twilio's responses."""

import asyncio
import json
from contextlib import asynccontextmanager, suppress

import pytest

from service.core.actions import Secrets
from service.core.keyring import Keyring
from tests.providers.twilio_recorder import SID, recording

NUMBER, TEST_NUMBER = "+14155550123", "+14155550100"
NUMBERS = [f"+1415555{n:04}" for n in range(2000, 2100)]


async def test_a_message_has_every_field_that_the_loop_needs(running):
    """A message requests feedback and callbacks, is valid as long as its code, and has its send number."""
    issued = await running.issue(ttl_seconds=120)
    status, _, _ = await running.call("POST", f"/v1/verifications/{issued['id']}/resend")
    assert status == 200
    for number, message in enumerate(running.messages(), 1):
        assert message.provide_feedback is True
        address, _, _ = message.status_callback.partition("#")  # the fragment controls Twilio's retries
        assert address == f"{running.url}/twilio/status/{issued['id']}/{number}"
        assert message.validity_period_seconds == 120
        assert message.attempt == number
        assert (message.message_intent, message.risk_check) == ("otp", "enable")
        assert (message.content_retention, message.address_retention) == (None, None)
        assert message.to == issued["to"]
    assert len(set(running.codes())) == 2


async def test_retention_and_risk_check_follow_the_settings(start):
    """The settings can disable Twilio's retention of body and number, and its risk check."""
    running = await start(otp_content_retention="discard", otp_address_retention="obfuscate", otp_risk_check="disable")
    await running.issue()
    [message] = running.messages()
    assert message.content_retention == "discard"
    assert message.address_retention == "obfuscate"
    assert message.risk_check == "disable"


async def test_the_sender_is_our_number_or_a_messaging_service(start):
    """`From` or the Messaging Service is sent, never both."""
    plain = await start()
    await plain.issue()
    assert (plain.messages()[0].sender, plain.messages()[0].messaging_service_sid) == ("+15005550006", None)
    service = await start(twilio_from="", twilio_messaging_service_sid="MG" + "1b" * 16)
    issued = await service.issue()
    assert service.messages()[0].messaging_service_sid == "MG" + "1b" * 16
    assert issued["sends"][0]["status"] == "queued"  # Twilio's status is `accepted`


async def test_an_api_key_is_used_instead_of_the_auth_token(start):
    """With an API key the Auth Token, which may have been replaced, is not sent to Twilio."""
    with_key = {"twilio_api_key": "SK" + "5a" * 16, "twilio_api_secret": "sandbox-api-secret"}
    running = await start(twilio_auth_token="not-the-one-that-twilio-knows", **with_key)
    assert (await running.issue())["status"] == "pending"
    refused = await start(twilio_auth_token="not-the-one-that-twilio-knows")
    status, problem, _ = await refused.call("POST", "/v1/verifications", {"to": NUMBERS[0]})
    assert (status, problem["code"]) == (502, "credentials_refused")


async def test_without_a_public_url_no_callbacks_are_requested(start):
    """A service that Twilio cannot reach sets no StatusCallback, and still sends."""
    running = await start(otp_public_url="")
    await running.issue()
    assert running.messages()[0].status_callback is None


async def test_the_record_is_in_redis_before_the_message_is_sent(running, redis, record, fault, eventually):
    """Before Twilio accepts the message, the digest of its code is stored, without a SID (promise 5)."""
    fault(running, "messages", "slow", seconds=30)
    issuing = asyncio.create_task(running.issue())
    [key] = await eventually(lambda: list(redis.scan_iter("otp:{*}:v:*")))
    stored = record(key.decode().rpartition(":")[2])
    assert running.messages() == []
    assert stored.get("status") == "pending"
    assert list(stored.with_suffix("code").values()) == [b"1"]
    assert stored.get("sid", 1) is None
    assert stored.get("sent_at_ms", 1) is not None
    running.sandbox.faults.end()
    issued = await issuing
    assert record(issued["id"]).get("sid", 1) == running.messages()[0].sid


async def test_no_code_and_no_number_is_stored_in_plain_text(running, redis):
    """Redis contains neither the code nor the number, in no key and no value (promise 8)."""
    await running.issue(reference="order-7")
    [code] = running.codes()
    number = running.messages()[0].to.encode()
    dump = b"\n".join(key + b"\n" + (redis.dump(key) or b"") for key in redis.scan_iter())
    assert number not in dump
    assert number.lstrip(b"+") not in dump
    fields = [part for key in redis.scan_iter("otp:{*}:v:*") for pair in redis.hgetall(key).items() for part in pair]
    assert code.encode() not in fields


# Twilio's code -> our HTTP status and problem code.
REFUSALS = {
    21211: (422, "invalid_number"),
    21214: (422, "invalid_number"),
    21408: (422, "country_not_allowed"),
    21610: (422, "recipient_opted_out"),
    21614: (422, "not_a_mobile_number"),
    21612: (422, "carrier_rejected"),
    21618: (422, "carrier_rejected"),
    30007: (422, "carrier_rejected"),
    21606: (422, "carrier_rejected"),
    21659: (422, "carrier_rejected"),
    21703: (422, "carrier_rejected"),
    30610: (422, "carrier_rejected"),
    30640: (422, "carrier_rejected"),
    30450: (422, "blocked"),
    30453: (422, "blocked"),
    21212: (502, "sender_misconfigured"),
    21608: (502, "sender_misconfigured"),
    21999: (502, "sender_misconfigured"),
    30034: (502, "sender_misconfigured"),
    63007: (502, "sender_misconfigured"),
    20005: (502, "credentials_refused"),
    20403: (502, "credentials_refused"),
    20003: (502, "credentials_refused"),  # the last one, because it halts sending
}


async def test_each_refusal_of_twilio_becomes_its_problem_and_a_failed_verification(running, fault, posts):
    """A permanent refusal is a problem with the verification's id; the verification has failed with Twilio's code."""
    for to, (error_code, expected) in zip(NUMBERS, REFUSALS.items(), strict=False):
        fault(running, "messages", "refuse", code=error_code, count=1)
        status, problem, headers = await running.call("POST", "/v1/verifications", {"to": to})
        assert (error_code, (status, problem["code"])) == (error_code, expected)
        assert headers["Content-Type"] == "application/problem+json"
        assert problem["type"].endswith(problem["code"])
        assert to not in str(problem)
        failed = await running.read(problem["verification_id"])
        assert failed["status"] == "failed"
        [send] = failed["sends"]
        assert (send["status"], send["error_code"], send["feedback"]) == ("failed", error_code, "none")
        assert failed["resend_at"] is None
    assert await posts(running) == len(REFUSALS)


async def test_the_code_of_a_message_that_failed_at_once_is_shown(start):
    """If Twilio returns a message that has already failed, the send shows Twilio's code without a callback."""
    async with recording() as twilio:
        twilio.answers(201, json.dumps({"sid": SID, "status": "failed", "error_code": 30007}).encode())
        running = await start(otp_worker=False, twilio_base_url=twilio.url)
        issued = await running.issue()
        [send] = (await running.read(issued["id"]))["sends"]
    assert (send["status"], send["error_code"]) == ("failed", 30007)


async def test_a_failed_verification_sends_nothing_more(running, fault):
    """A resend after a permanent refusal gets a 409 with the status."""
    fault(running, "messages", "refuse", code=21610, count=1)
    _, problem, _ = await running.call("POST", "/v1/verifications", {"to": NUMBERS[0]})
    status, ended, _ = await running.call("POST", f"/v1/verifications/{problem['verification_id']}/resend")
    assert (status, ended["code"]) == (409, "not_pending")
    assert ended["detail"] == "We could not send the message. Start again."
    assert running.messages(NUMBERS[0]) == []


async def test_a_refused_resend_leaves_the_first_code_valid(running, fault, eventually):
    """If Twilio refuses the second message, the first code is still accepted, and its SID confirmed."""
    issued = await running.issue()
    fault(running, "messages", "refuse", code=21610, count=1)
    status, problem, _ = await running.call("POST", f"/v1/verifications/{issued['id']}/resend")
    assert (status, problem["code"]) == (422, "recipient_opted_out")
    assert problem["verification_id"] == issued["id"]
    shown = await running.read(issued["id"])
    assert (shown["status"], shown["sends"][1]["status"], shown["sends"][1]["error_code"]) == (
        "pending", "failed", 21610,
    )  # fmt: skip
    [code] = running.codes()
    assert (await running.verify(issued["id"], code))["verdict"] == "approved"
    assert await eventually(running.confirmed) == {running.messages()[0].sid}


async def test_a_short_429_is_retried_until_the_message_is_sent(running, fault, posts):
    """Two 429 with a Retry-After of 0 delay the caller for a moment; one message is sent."""
    fault(running, "messages", "429", count=2, seconds=0)
    issued = await running.issue()
    assert issued["sends"][0]["status"] == "queued"
    assert len(running.messages()) == 1
    assert await posts(running) == 3


async def test_a_lasting_429_is_a_503_that_does_not_count_for_the_number(start, fault, posts):
    """After three 429 the caller gets a Retry-After, and the number may be sent to at once."""
    running = await start(otp_limit_number="1/1h")
    fault(running, "messages", "429", count=3, seconds=0)
    status, problem, headers = await running.call("POST", "/v1/verifications", {"to": NUMBERS[0]})
    assert (status, problem["code"]) == (503, "provider_unavailable")
    assert int(headers["Retry-After"]) == problem["retry_after"] >= 1
    assert await posts(running) == 3
    assert (await running.read(problem["verification_id"]))["status"] == "failed"
    await running.issue(NUMBERS[0])
    status, problem, headers = await running.call("POST", "/v1/verifications", {"to": NUMBERS[0]})
    assert (status, problem["code"]) == (429, "rate_limited")
    assert int(headers["Retry-After"]) == problem["retry_after"] > 3000


async def test_a_long_retry_after_is_passed_to_the_caller(running, fault, posts):
    """A pause that is too long for a caller is not awaited: one POST, and Twilio's own Retry-After."""
    fault(running, "messages", "429", count=1, seconds=30)
    status, problem, headers = await running.call("POST", "/v1/verifications", {"to": NUMBERS[0]})
    assert (status, problem["code"], problem["retry_after"], headers["Retry-After"]) == (
        503, "provider_unavailable", 30, "30",
    )  # fmt: skip
    assert await posts(running) == 1


@pytest.mark.parametrize(("code", "wait"), [(21611, "600"), (63038, "3600"), (30023, "3600")])
async def test_a_temporary_refusal_is_a_503(running, fault, posts, code, wait):
    """A sender with a full queue and daily caps are a 503 with a long wait: nothing was sent."""
    fault(running, "messages", "refuse", code=code, count=1)
    status, problem, headers = await running.call("POST", "/v1/verifications", {"to": NUMBERS[0]})
    assert (status, problem["code"], headers["Retry-After"]) == (503, "provider_unavailable", wait)
    assert await posts(running) == 1


async def test_a_refused_connection_is_a_503_and_nothing_is_pending(start, unused_tcp_port_factory):
    """Over a refused connection no message was sent: 503 with Retry-After, and the number is not limited."""
    running = await start(twilio_base_url=f"http://127.0.0.1:{unused_tcp_port_factory()}", otp_limit_number="1/1h")
    for _ in range(2):
        status, problem, headers = await running.call("POST", "/v1/verifications", {"to": NUMBERS[0]})
        assert (status, problem["code"]) == (503, "provider_unavailable")
        assert int(headers["Retry-After"]) >= 1
        assert (await running.read(problem["verification_id"]))["status"] == "failed"


async def test_a_refused_connection_is_retried(start, redis, unused_tcp_port, eventually, posts):
    """If Twilio is reachable a moment later, the same request is sent, once, and the caller sees no error."""
    running = await start(twilio_base_url=f"http://127.0.0.1:{unused_tcp_port}")
    issuing = asyncio.create_task(running.issue())
    assert await eventually(lambda: list(redis.scan_iter("otp:{*}:v:*")))  # the port of Twilio follows
    await asyncio.sleep(0.03)
    assert await posts(running) == 0
    async with forwarder_to(running.sandbox_url, unused_tcp_port):
        assert (await issuing)["sends"][0]["status"] == "queued"
    assert await posts(running) == len(running.messages()) == 1


@asynccontextmanager
async def forwarder_to(url, port):
    """Open a port that forwards to another one, one connection at a time."""
    target = int(url.rpartition(":")[2])
    copies = set()

    async def copy(source, sink):
        try:
            while data := await source.read(65536):
                sink.write(data)
        finally:
            sink.close()
            with suppress(OSError):
                await sink.wait_closed()

    async def join(reader, writer):
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", target)
        copies.add(asyncio.create_task(copy(reader, onward_writer)))
        copies.add(asyncio.create_task(copy(onward_reader, writer)))

    server = await asyncio.start_server(join, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()
        for each in copies:
            each.cancel()
        await asyncio.gather(*copies, return_exceptions=True)


async def test_an_ambiguous_send_is_posted_once_and_can_be_checked_and_resent(running, fault, posts):
    """After an ambiguous response: 201 with the send `unknown`; exactly one POST; check and resend work (promise 7)."""
    fault(running, "callbacks", "drop")
    for to, kind in zip(NUMBERS, ("500", "503", "reset", "garbage", "lost_response", "redirect"), strict=False):
        before = await posts(running)
        fault(running, "messages", kind, count=1)
        issued = await running.issue(to)
        assert (kind, issued["status"], issued["sends"][0]["status"]) == (kind, "pending", "unknown")
        assert await posts(running) == before + 1
        was_accepted = kind in ("garbage", "lost_response")
        assert len(running.messages(to)) == was_accepted
        status, resent, _ = await running.call("POST", f"/v1/verifications/{issued['id']}/resend")
        assert (status, [send["status"] for send in resent["sends"]]) == (200, ["unknown", "queued"])
        assert await posts(running) == before + 2
        assert (await running.verify(issued["id"], running.codes(to)[0]))["verdict"] == "approved"


@pytest.mark.slow
async def test_a_call_that_hangs_ends_after_five_seconds_and_one_post(running, fault, posts):
    """A call that hangs ends in a 201 whose send is `unknown`; the message is not sent again."""
    fault(running, "messages", "hang", count=1, seconds=40)
    issued = await running.issue()
    assert issued["sends"][0]["status"] == "unknown"
    assert await posts(running) == 1


async def test_a_callback_completes_an_unknown_send(running, fault, eventually):
    """If the response was lost, Twilio's callback delivers status and SID (promise 5)."""
    fault(running, "messages", "lost_response", count=1)
    issued = await running.issue()
    [message] = running.messages()

    async def status():
        return (await running.read(issued["id"]))["sends"][0]["status"] == "delivered"

    assert await eventually(status)
    [code] = running.codes()
    assert (await running.verify(issued["id"], code))["verdict"] == "approved"
    assert await eventually(running.confirmed) == {message.sid}


async def test_a_caller_that_disconnects_loses_neither_the_sid_nor_the_confirmation(running, hold, record, eventually):
    """If the caller disconnects during the request to Twilio, the code still works and its SID is confirmed."""
    held = hold(running)
    issuing = asyncio.create_task(running.issue())
    [message] = await eventually(running.messages)
    issuing.cancel()
    held.deliver.set()
    held.responds.set()
    verification_id = message.status_callback.split("/status/")[1].split("/")[0]
    assert await eventually(lambda: record(verification_id).get("sid", 1)) == message.sid
    assert (await running.verify(verification_id, running.codes()[0]))["verdict"] == "approved"
    assert await eventually(running.confirmed) == {message.sid}


async def test_an_early_resend_is_a_429_with_the_wait(start):
    """`resend_at`, `resend_in` and Retry-After agree on when the next code may be sent."""
    running = await start(otp_limit_number="1/30s")
    issued = await running.issue()
    assert issued["resend_at"] > issued["created_at"]
    assert (issued["expires_in"], issued["resend_in"]) == (600, 30)
    status, shown, _ = await running.call("GET", f"/v1/verifications/{issued['id']}")
    assert 590 <= shown["expires_in"] < 600
    assert 20 <= shown["resend_in"] <= 30
    status, problem, headers = await running.call("POST", f"/v1/verifications/{issued['id']}/resend")
    assert (status, problem["code"]) == (429, "rate_limited")
    assert 1 <= int(headers["Retry-After"]) == problem["retry_after"] <= 30
    assert len(running.messages()) == 1


async def test_the_number_of_sends_is_limited(start):
    """After the last send a resend gets a 409, and the responses have counted down to it."""
    running = await start(otp_max_sends=2)
    issued = await running.issue()
    assert issued["sends_remaining"] == 1
    status, resent, _ = await running.call("POST", f"/v1/verifications/{issued['id']}/resend")
    assert (status, resent["sends_remaining"], resent["resend_at"]) == (200, 0, None)
    status, problem, _ = await running.call("POST", f"/v1/verifications/{issued['id']}/resend")
    assert (status, problem["code"]) == (409, "max_sends_reached")
    assert len(running.messages()) == 2


async def test_a_response_shows_the_options_of_the_request(running):
    """The 201 has a Location and every option of the request; only it contains the client token."""
    asked = {"purpose": "payment", "code_length": 8, "ttl_seconds": 60, "reference": "order 7", "locale": "de"}
    status, issued, headers = await running.call("POST", "/v1/verifications", {"to": NUMBERS[0], **asked})
    assert status == 201
    assert headers["Location"] == f"/v1/verifications/{issued['id']}"
    assert {name: issued[name] for name in ("purpose", "code_length", "reference")} == {
        "purpose": "payment", "code_length": 8, "reference": "order 7",
    }  # fmt: skip
    assert (issued["to"], issued["country"], issued["channel"], issued["action"]) == (NUMBERS[0], "US", "sms", "code")
    assert (issued["attempts_remaining"], issued["sends_remaining"]) == (5, 4)
    assert issued["client_token"].startswith("vt_")
    [code] = running.codes(NUMBERS[0])
    assert len(code) == 8
    shown = await running.read(issued["id"])
    assert "client_token" not in shown
    changing = ("client_token", "match", "locale", "sends", "expires_in", "resend_in")
    assert {name: value for name, value in issued.items() if name not in changing}.items() <= shown.items()


@pytest.mark.parametrize("verification_id", ["ve_" + "0" * 32, "ve_0", "VE" + "0" * 32, "ve_" + "g" * 32])
async def test_an_unknown_id_is_a_404_everywhere(running, verification_id):
    """Verify, resend, cancel and read of an unknown id get the same 404."""
    path = f"/v1/verifications/{verification_id}"
    steps = [("GET", "", None), ("POST", "/verify", {"code": "123456"}), ("POST", "/resend", None)]
    for method, step, body in [*steps, ("POST", "/cancel", None)]:
        status, problem, _ = await running.call(method, path + step, body)
        assert (step, status, problem["code"]) == (step, 404, "unknown_verification")
    assert running.sandbox.ledger.messages() == []


@pytest.mark.parametrize("to", [NUMBER, TEST_NUMBER], ids=["sent to", "test number"])
async def test_the_hmac_of_a_number_is_computed_once(start, monkeypatch, to):
    """An issue computes the HMAC of its number once, a resend never; each checks once for a test number."""
    running = await start(otp_test_numbers=f"{TEST_NUMBER}:493027")
    asked = []
    for owner, name in ((Keyring, "number_index"), (Secrets, "fixed_for")):
        original = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *of, n=name, f=original: (asked.append(n), f(*of))[1])
    issued = await running.issue(to)
    assert sorted(asked) == ["fixed_for", "number_index"]
    asked.clear()
    status, _, _ = await running.call("POST", f"/v1/verifications/{issued['id']}/resend")
    assert (status, asked) == (200, ["fixed_for"])
