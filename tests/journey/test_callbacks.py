"""Twilio's status callbacks: which are accepted, what they change, and how they bring a lost SID."""

import asyncio

import pytest
from twilio.request_validator import RequestValidator

from service.api.twilio.status_callbacks import StatusCallbackEndpoint
from service.http.problems import HttpProblem
from service.http.request import unknown_request
from service.http_server import HttpProtocol
from service.providers.twilio.signature import TwilioSignature

STRANGER = "SM" + "0f" * 16


def path_of(verification_id, send=1):
    """Name the path of a send's status callback."""
    return f"/twilio/status/{verification_id}/{send}"


def form(sid, status, **more):
    """Write a callback's fields, with a blank among them as Twilio's have."""
    return {"MessageSid": sid, "SmsSid": sid, "MessageStatus": status, "ErrorCode": "", "To": "+14155550123", **more}


async def first_send(running, verification_id):
    """Give the first send as the API shows it."""
    return (await running.read(verification_id))["sends"][0]


@pytest.fixture
async def quiet(start, fault):
    """Start a service whose simulator sends no callbacks: the test sends them by hand."""
    running = await start()
    fault(running, "callbacks", "drop")
    return running


async def test_delivery_of_each_send_is_shown(running, fault, eventually):
    """What Twilio says of a message is shown with its send, a failure with its error code."""
    issued = await running.issue()
    fault(running, "callbacks", "fail", count=1, code=30003)
    await running.call("POST", f"/v1/verifications/{issued['id']}/resend")

    async def ended():
        sends = (await running.read(issued["id"]))["sends"]
        return [(send["status"], send["error_code"]) for send in sends] == [
            ("delivered", None), ("undelivered", 30003),
        ]  # fmt: skip

    assert await eventually(ended)
    assert {post.result for post in running.sandbox.ledger.callbacks()} == {204}


async def test_a_message_that_was_not_delivered_may_still_be_confirmed(running, fault, eventually):
    """A carrier may be wrong: a code typed back proves receipt, whatever was reported before."""
    fault(running, "callbacks", "fail", count=1, code=30008)
    issued = await running.issue()

    async def failed():
        return (await first_send(running, issued["id"]))["status"] == "undelivered"

    assert await eventually(failed)
    assert (await running.verify(issued["id"], running.codes()[0]))["verdict"] == "approved"
    assert await eventually(running.confirmed) == {running.messages()[0].sid}


async def test_an_unsigned_or_wrongly_signed_callback_changes_nothing(quiet, call_back, record):
    """A signature that is missing, malformed or of another token, URL or body is 403; the record stays as it was."""
    issued = await quiet.issue()
    path, fields = path_of(issued["id"]), form(quiet.messages()[0].sid, "delivered")
    before = record(issued["id"]).all()
    assert await call_back(quiet, path, fields, token="another-token") == 403
    assert await call_back(quiet, path, fields, signed_url="https://elsewhere.example" + path) == 403
    assert await call_back(quiet, path, fields, signed_url=quiet.url + path_of(issued["id"], 2)) == 403
    assert await call_back(quiet, path, fields, signed_url=quiet.url.replace("http:", "https:") + path) == 403
    for signature in ("", "=", "not base64", "\u00e9" * 28, "A" * 4000):
        assert await call_back(quiet, path, fields, headers={"X-Twilio-Signature": signature}) == 403
    async with quiet.http.post(path, data=fields) as response:
        assert (response.status, (await response.json())["code"]) == (403, "bad_signature")
    assert record(issued["id"]).all() == before


async def test_a_signature_covers_every_field(quiet, call_back, record):
    """A field changed, added or removed after signing is 403."""
    issued = await quiet.issue()
    path, fields = path_of(issued["id"]), form(quiet.messages()[0].sid, "sent")
    before = record(issued["id"]).all()
    for forged in (
        {**fields, "MessageStatus": "delivered"},
        {**fields, "More": ""},
        {"MessageSid": fields["MessageSid"]},
    ):
        status = await send_forged(quiet, path, fields, forged)
        assert status == 403
    assert record(issued["id"]).all() == before
    assert await call_back(quiet, path, fields) == 204
    assert record(issued["id"]).all() != before


@pytest.mark.parametrize("protocol", [HttpProtocol, "httptools"])
async def test_a_response_without_content_tells_no_length(start, fault, protocol):
    """No server says Content-Length with 204 (RFC 9110, 8.6): not straight, not over ASGI, and not the simulator."""
    running = await start(protocol=protocol)
    fault(running, "callbacks", "drop")
    issued = await running.issue()
    path, fields = path_of(issued["id"]), form(running.messages()[0].sid, "sent")
    signature = RequestValidator("sandbox-auth-token").compute_signature(running.url + path, fields)
    calls = [
        running.http.post(path, data=fields, headers={"X-Twilio-Signature": signature}),
        running.http.delete(f"{running.sandbox_url}/_/messages"),
    ]
    for call in calls:
        async with call as response:
            assert (response.status, response.headers.get("Content-Length"), await response.read()) == (204, None, b"")


async def send_forged(running, path, signed, sent):
    """Post other fields than were signed; give the status."""
    signature = RequestValidator("sandbox-auth-token").compute_signature(running.url + path, signed)
    async with running.http.post(path, data=sent, headers={"X-Twilio-Signature": signature}) as response:
        return response.status


async def test_what_is_no_form_or_too_large_is_refused_before_it_is_read(quiet, record):
    """JSON is 415, a body over 16 KiB 413, bytes that are no text or a thousand fields 403; never a 500."""
    issued = await quiet.issue()
    before, path = record(issued["id"]).all(), path_of(issued["id"])
    typed = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": "x"}
    for headers, body, expected in (
        ({"X-Twilio-Signature": "x"}, None, 415),
        ({**typed, "Content-Type": "application/json"}, b"{}", 415),
        ({**typed, "Content-Type": "multipart/form-data; boundary=x"}, b"--x--", 415),
        (typed, b"a=" + b"x" * 17_000, 413),
        (typed, b"&".join(b"f%d=1" % n for n in range(1000)), 403),
        (typed, b"\xff\xfe=\xff", 403),
        (typed, b"%ff=%ff", 403),
        (typed, b"", 403),
    ):
        async with quiet.http.post(path, data=body, headers=headers) as response:
            assert (body and body[:20], response.status) == (body and body[:20], expected)
    async with quiet.http.post(path, data=endless(), headers=typed) as response:
        assert response.status == 413
    assert record(issued["id"]).all() == before


async def endless():
    """Give a body in pieces, without its length in front."""
    for _ in range(20):
        yield b"x" * 1024


async def test_a_genuine_callback_about_nothing_we_know_changes_nothing(quiet, call_back, redis, record):
    """Unknown ids, sends and SIDs, unknown words and unreadable codes are 204, and leave no key behind."""
    issued = await quiet.issue()
    sid, before = quiet.messages()[0].sid, record(issued["id"]).all()
    unknown = "ve_" + issued["id"][3] + "0" * 31
    for path, fields in (
        (path_of(unknown), form(sid, "delivered")),
        (path_of("nothing"), form(sid, "delivered")),
        (path_of(issued["id"], 2), form(sid, "delivered")),
        (path_of(issued["id"], 0), form(sid, "delivered")),
        (path_of(issued["id"], 999), form(sid, "delivered")),
        (path_of(issued["id"]), form(STRANGER, "delivered")),
        (path_of(issued["id"]), form("", "delivered")),
        (path_of(issued["id"]), {"MessageStatus": "delivered"}),
        (path_of(issued["id"]), form(sid, "teleported")),
        (path_of(issued["id"]), form(sid, "")),
    ):
        assert (path, fields, await call_back(quiet, path, fields)) == (path, fields, 204)
    assert record(issued["id"]).all() == before
    assert not list(redis.scan_iter(f"*{unknown}*"))
    assert await call_back(quiet, path_of(issued["id"]), form(sid, "failed", ErrorCode="\u0663\u0660")) == 204
    assert (await first_send(quiet, issued["id"]))["error_code"] is None


@pytest.mark.parametrize("written", ["9" * 5000, "9" * 30, "9" * 19, "1000000", "9999", "0", "-30003", "\u0663" * 5])
async def test_what_cannot_be_a_code_of_twilio_is_no_code(quiet, call_back, written):
    """An ErrorCode of any other length than Twilio's is left out; the status that came with it counts."""
    issued = await quiet.issue()
    fields = form(quiet.messages()[0].sid, "failed", ErrorCode=written)
    assert await call_back(quiet, path_of(issued["id"]), fields) == 204
    send = await first_send(quiet, issued["id"])
    assert (send["status"], send["error_code"]) == ("failed", None)


async def test_the_sender_that_carried_a_send_is_kept(quiet, call_back, record):
    """`From` of a callback is kept as the send's sender, bounded, and shown in no response; a blank one is ignored."""
    issued = await quiet.issue()
    path, sid = path_of(issued["id"]), quiet.messages()[0].sid
    for word, sender, kept in (
        ("queued", "", None),
        ("sent", "+15005550006", "+15005550006"),
        ("delivered", "x" * 65, "+15005550006"),
        ("read", "bad\x00\u00e9", "+15005550006"),
    ):
        assert await call_back(quiet, path, form(sid, word, From=sender)) == 204
        assert (word, record(issued["id"]).get("sender", 1)) == (word, kept)
    assert "+15005550006" not in str(await quiet.read(issued["id"]))


@pytest.mark.parametrize("sender", ["+15005550006", "72345", "Acme & Co-1_", "rcs:acme_agent", "whatsapp:+15005550006"])
async def test_every_kind_of_sender_is_kept_as_it_is(quiet, call_back, record, sender):
    """A number, a short code, a name and a channel's address are kept as Twilio writes them."""
    issued = await quiet.issue()
    fields = form(quiet.messages()[0].sid, "sent", From=sender)
    assert await call_back(quiet, path_of(issued["id"]), fields) == 204
    assert record(issued["id"]).get("sender", 1) == sender


async def test_blank_fields_and_a_query_are_part_of_what_is_signed(quiet, call_back):
    """Twilio signs blanks and the query; both must survive on the way in."""
    issued = await quiet.issue()
    path = path_of(issued["id"]) + "?tenant=a&blank="
    fields = form(quiet.messages()[0].sid, "delivered", RawDlrDoneDate="", ChannelToAddress="", NewField="caf\u00e9 +%")
    assert await call_back(quiet, path, fields) == 204
    assert (await first_send(quiet, issued["id"]))["status"] == "delivered"


async def test_behind_a_proxy_the_signature_is_over_the_public_url(start, call_back):
    """With another public host and a path prefix, what counts is OTP_PUBLIC_URL, never the Host that arrives."""
    running = await start(otp_public_url="https://otp.example.com/auth/")
    issued = await running.issue()
    [message] = running.messages()
    path = path_of(issued["id"])
    public = "https://otp.example.com/auth" + path
    assert message.status_callback.partition("#")[0] == public
    fields = form(message.sid, "delivered")
    forwarded = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"}
    assert await call_back(running, path, fields) == 403  # signed for the internal address
    assert await call_back(running, path, fields, signed_url="http://evil.example" + path, headers=forwarded) == 403
    assert await call_back(running, path, fields, signed_url=public, headers=forwarded) == 204
    assert (await first_send(running, issued["id"]))["status"] == "delivered"
    with_port = public.replace("example.com", "example.com:443")
    assert await call_back(running, path, form(message.sid, "read"), signed_url=with_port) == 204
    assert (await first_send(running, issued["id"]))["status"] == "read"


async def test_while_the_auth_token_rotates_both_sign(start, fault, call_back):
    """With two Auth Tokens listed, callbacks signed with either are genuine, with a third they are not."""
    running = await start(
        twilio_auth_token="the-next-token,the-old-token",
        twilio_api_key="SK" + "5a" * 16,
        twilio_api_secret="sandbox-api-secret",
    )
    fault(running, "callbacks", "drop")
    issued = await running.issue()
    path, sid = path_of(issued["id"]), running.messages()[0].sid
    assert await call_back(running, path, form(sid, "sent"), token="the-old-token") == 204
    assert (await first_send(running, issued["id"]))["status"] == "sent"
    assert await call_back(running, path, form(sid, "delivered"), token="the-next-token") == 204
    assert (await first_send(running, issued["id"]))["status"] == "delivered"
    assert await call_back(running, path, form(sid, "read"), token="the-next-token,the-old-token") == 403


async def test_callbacks_signed_with_a_shared_key_are_taken(start, eventually):
    """Callbacks of an account whose Webhook Rule signs with a SharedKey are accepted once its secret is set."""
    running = await start(sandbox={"shared_key": "the-shared-secret"}, twilio_webhook_keys="next,the-shared-secret")
    issued = await running.issue()

    async def delivered():
        return (await first_send(running, issued["id"]))["status"] == "delivered"

    assert await eventually(delivered)
    assert {post.result for post in running.sandbox.ledger.callbacks()} == {204}


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ("", "signed with a SharedKey: set TWILIO_WEBHOOK_KEYS"),
        ("other", "signed with a SharedKey that TWILIO_WEBHOOK_KEYS does not hold"),
    ],
)
async def test_a_shared_key_that_is_not_set_is_named_in_the_log(start, eventually, keys, reason):
    """Callbacks that a SharedKey signs are 403 without it, and the log names the setting that is missing."""
    events = []
    running = await start(
        sandbox={"shared_key": "the-shared-secret"},
        twilio_webhook_keys=keys,
        event_log=lambda _, /, **fields: events.append(fields),
    )
    await running.issue()
    assert await eventually(lambda: [post.result for post in running.sandbox.ledger.callbacks()] == [403, 403])
    reasons = {fields["reason"] for fields in events if fields.get("problem") == "bad_signature"}
    assert reasons == {reason}


@pytest.mark.parametrize(
    ("settings", "sent", "reason"),
    [
        ({}, {"token": "another-token"}, "wrong signature: check TWILIO_AUTH_TOKEN and OTP_PUBLIC_URL"),
        ({}, {"signed_url": "https://x.example/"}, "wrong signature: check TWILIO_AUTH_TOKEN and OTP_PUBLIC_URL"),
        ({}, {"headers": {"X-Twilio-Signature": ""}}, "without the header X-Twilio-Signature"),
        ({"otp_public_url": None}, {}, "OTP_PUBLIC_URL is not set"),
    ],
)
async def test_refused_callbacks_are_one_warning_and_each_has_its_reason(start, call_back, settings, sent, reason):
    """The request line of each refused callback has the reason, and one warning a minute has it too."""
    events = []
    running = await start(event_log=lambda event, /, **fields: events.append((event, fields)), **settings)
    for _ in range(3):
        assert await call_back(running, path_of("x"), form(STRANGER, "sent"), **sent) == 403
    refused = [fields["reason"] for event, fields in events if event == "request" and fields["status"] == 403]
    assert refused == [reason] * 3
    assert [fields for event, fields in events if event == "callback_refused"] == [{"reason": reason}]


async def test_refused_callbacks_are_a_warning_again_after_a_minute():
    """While callbacks are refused, the warning comes once a minute."""
    events, now = [], [0.0]
    endpoint = StatusCallbackEndpoint(
        None,
        TwilioSignature(["token"]),
        public_url="https://x.example",
        event_log=lambda event, /, **_: events.append((event, now[0])),
        clock=lambda: now[0],
    )
    for now[0] in (0.0, 59.0, 60.0, 61.0, 125.0):
        with pytest.raises(HttpProblem):
            await endpoint.status(unknown_request(), "x", "1", b"a=b")
    assert events == [("callback_refused", 0.0), ("callback_refused", 60.0), ("callback_refused", 125.0)]


async def test_beside_shared_keys_the_auth_token_signs_as_before(start, fault, call_back):
    """SHA-1 by the Auth Token stays; under the header of a SharedKey it proves nothing."""
    running = await start(twilio_webhook_keys="the-shared-secret")
    fault(running, "callbacks", "drop")
    issued = await running.issue()
    path, fields = path_of(issued["id"]), form(running.messages()[0].sid, "sent")
    header = {"X-Twilio-Webhooks-Signature-Settings": "key=k,algorithm=HMAC_SHA1"}
    assert await call_back(running, path, fields, headers=header) == 403
    assert await call_back(running, path, fields) == 204


async def test_a_status_never_goes_back(quiet, call_back):
    """Callbacks in any order, twice or late leave the highest rank; of two ends the first stays."""
    issued = await quiet.issue()
    path, sid = path_of(issued["id"]), quiet.messages()[0].sid

    async def after(*words):
        for word in words:
            assert await call_back(quiet, path, form(sid, word)) == 204
        return (await first_send(quiet, issued["id"]))["status"]

    assert await after("sending", "accepted", "queued") == "queued"
    assert await after("sent", "queued", "sent") == "sent"
    assert await after("delivered", "sent", "delivered", "failed", "undelivered", "queued") == "delivered"
    assert await after("read", "delivered", "sent") == "read"


@pytest.mark.parametrize("kind", ["out_of_order", "double", "before", "late"])
async def test_the_loop_closes_however_callbacks_come(running, fault, eventually, settled, kind):
    """Out of order, doubled, before Twilio's own answer or late: delivered, approved, confirmed once."""
    fault(running, "callbacks", kind, count=1, **({"seconds": 0.2} if kind == "late" else {}))
    issued = await running.issue()

    async def told():
        return len(running.sandbox.ledger.callbacks()) == (4 if kind == "double" else 2)

    assert await eventually(told)
    assert (await first_send(running, issued["id"]))["status"] == "delivered"
    assert (await running.verify(issued["id"], running.codes()[0]))["verdict"] == "approved"
    assert await settled(running) == [("confirmed", 1)]


async def test_a_callback_brings_a_lost_sid_and_frees_its_confirmation(quiet, fault, call_back, settled):
    """Twilio's answer was lost and the code is already typed: the callback's SID frees the confirmation (promise 5)."""
    fault(quiet, "messages", "lost_response", count=1)
    issued = await quiet.issue()
    [message], path = quiet.messages(), path_of(issued["id"])
    assert (await quiet.verify(issued["id"], quiet.codes()[0]))["verdict"] == "approved"
    assert (await first_send(quiet, issued["id"]))["feedback"] == "awaiting_sid"
    assert quiet.confirmed() == set()
    statuses = await asyncio.gather(*(call_back(quiet, path, form(message.sid, "sent")) for _ in range(5)))
    assert set(statuses) == {204}
    assert await settled(quiet) == [("confirmed", 1)]
    assert await call_back(quiet, path, form(STRANGER, "delivered")) == 204  # the SID that came first stays
    shown = await first_send(quiet, issued["id"])
    assert (shown["status"], shown["feedback"]) == ("sent", "confirmed")
    assert quiet.confirmed() == {message.sid}


async def test_a_callback_faster_than_twilios_answer_frees_the_confirmation(running, hold, eventually, settled):
    """While Twilio's answer is outstanding its callback frees the confirmation; the answer enqueues no second."""
    held = hold(running)
    issuing = asyncio.create_task(running.issue())
    [message] = await eventually(running.messages)
    verification_id = message.status_callback.split("/status/")[1].split("/")[0]
    assert (await running.verify(verification_id, running.codes()[0]))["verdict"] == "approved"
    held.carry.set()
    assert await eventually(running.confirmed) == {message.sid}
    assert not issuing.done()
    held.answers.set()
    await issuing
    assert await settled(running) == [("confirmed", 1)]


async def test_without_an_auth_token_no_callback_is_genuine(start, call_back):
    """An API key's secret signs nothing: without an Auth Token every callback is 403, signed with whatever."""
    key = {"twilio_api_key": "SK" + "5a" * 16, "twilio_api_secret": "sandbox-api-secret"}
    running = await start(twilio_auth_token="", **key)
    issued = await running.issue()
    fields = form(running.messages()[0].sid, "delivered")
    for token in ("", "sandbox-auth-token", "sandbox-api-secret"):
        assert await call_back(running, path_of(issued["id"]), fields, token=token) == 403
