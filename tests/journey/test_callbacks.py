"""Twilio's status callbacks: which are accepted, what they change, and how they deliver a missing SID."""

import asyncio

import pytest
from twilio.request_validator import RequestValidator

from service.api.twilio.signed_forms import SignedForms
from service.http.problems import HttpProblem
from service.http.request import unknown_request
from service.http_server import HttpProtocol
from service.providers.twilio.signature import TwilioSignature

STRANGER = "SM" + "0f" * 16


def path_of(verification_id, send=1):
    """Return the path of a send's status callback."""
    return f"/twilio/status/{verification_id}/{send}"


def form(sid, status, **more):
    """Write a callback's fields, one of them empty as in Twilio's."""
    return {"MessageSid": sid, "SmsSid": sid, "MessageStatus": status, "ErrorCode": "", "To": "+14155550123", **more}


async def first_send(running, verification_id):
    """Return the first send as the API shows it."""
    return (await running.read(verification_id))["sends"][0]


@pytest.fixture
async def quiet(start, fault):
    """Start a service whose simulator sends no callbacks: the test sends them."""
    running = await start()
    fault(running, "callbacks", "drop")
    return running


async def test_delivery_of_each_send_is_shown(running, fault, eventually):
    """The delivery status that Twilio reports is shown with its send, a failure with its error code."""
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
    """A carrier may be wrong: a typed code proves receipt, whatever was reported before."""
    fault(running, "callbacks", "fail", count=1, code=30008)
    issued = await running.issue()

    async def failed():
        return (await first_send(running, issued["id"]))["status"] == "undelivered"

    assert await eventually(failed)
    assert (await running.verify(issued["id"], running.codes()[0]))["verdict"] == "approved"
    assert await eventually(running.confirmed) == {running.messages()[0].sid}


async def test_an_unsigned_or_wrongly_signed_callback_changes_nothing(quiet, call_back, record):
    """A missing, malformed or wrong signature (token, URL or body) gets a 403; the record does not change."""
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
    """A field that is changed, added or removed after signing gets a 403."""
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
async def test_a_204_has_no_content_length(start, fault, protocol):
    """A 204 has no Content-Length (RFC 9110, 8.6): neither directly, nor over ASGI, nor from the simulator."""
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
    """Post fields other than the signed ones; return the status."""
    signature = RequestValidator("sandbox-auth-token").compute_signature(running.url + path, signed)
    async with running.http.post(path, data=sent, headers={"X-Twilio-Signature": signature}) as response:
        return response.status


async def test_an_invalid_or_large_body_is_refused(quiet, record):
    """JSON gets a 415, a body over 16 KiB a 413, non-text bytes or a thousand fields a 403; never a 500."""
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
    """Yield a body in pieces, without Content-Length."""
    for _ in range(20):
        yield b"x" * 1024


async def test_a_genuine_callback_with_unknown_values_changes_nothing(start, fault, call_back, redis, record):
    """Unknown ids, sends, SIDs and status words and invalid codes get a 204 and an event, and leave no key."""
    events = []
    quiet = await start(event_log=lambda event, /, **fields: events.append((event, fields.get("reason"))))
    fault(quiet, "callbacks", "drop")
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
        events.clear()
        assert (path, fields, await call_back(quiet, path, fields)) == (path, fields, 204)
        is_known = path == path_of(issued["id"]) and fields.get("MessageSid") == sid
        [(event, reason)] = [told for told in events if told[0] != "request"]
        assert (event, bool(reason)) == (("delivery_reported", False) if is_known else ("callback_ignored", True))
    assert record(issued["id"]).all() == before
    assert not list(redis.scan_iter(f"*{unknown}*"))
    assert await call_back(quiet, path_of(issued["id"]), form(sid, "failed", ErrorCode="\u0663\u0660")) == 204
    assert (await first_send(quiet, issued["id"]))["error_code"] is None


@pytest.mark.parametrize("written", ["9" * 5000, "9" * 30, "9" * 19, "1000000", "9999", "0", "-30003", "\u0663" * 5])
async def test_an_invalid_error_code_is_ignored(quiet, call_back, written):
    """An ErrorCode whose length is not Twilio's is ignored; the status is applied."""
    issued = await quiet.issue()
    fields = form(quiet.messages()[0].sid, "failed", ErrorCode=written)
    assert await call_back(quiet, path_of(issued["id"]), fields) == 204
    send = await first_send(quiet, issued["id"])
    assert (send["status"], send["error_code"]) == ("failed", None)


async def test_the_sender_of_a_callback_is_stored(quiet, call_back, record):
    """`From` of a callback is stored as the send's sender, truncated, and never shown; an empty one is ignored."""
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
async def test_every_kind_of_sender_is_stored_unchanged(quiet, call_back, record, sender):
    """A number, a short code, a name and a channel's address are stored as Twilio writes them."""
    issued = await quiet.issue()
    fields = form(quiet.messages()[0].sid, "sent", From=sender)
    assert await call_back(quiet, path_of(issued["id"]), fields) == 204
    assert record(issued["id"]).get("sender", 1) == sender


async def test_empty_fields_and_the_query_are_signed(quiet, call_back):
    """Twilio signs empty fields and the query; both must be kept for verification."""
    issued = await quiet.issue()
    path = path_of(issued["id"]) + "?tenant=a&blank="
    fields = form(quiet.messages()[0].sid, "delivered", RawDlrDoneDate="", ChannelToAddress="", NewField="caf\u00e9 +%")
    assert await call_back(quiet, path, fields) == 204
    assert (await first_send(quiet, issued["id"]))["status"] == "delivered"


async def test_behind_a_proxy_the_signature_is_over_the_public_url(start, call_back):
    """With another public host and a path prefix, OTP_PUBLIC_URL counts, never the received Host."""
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


async def test_during_a_rotation_both_auth_tokens_are_accepted(start, fault, call_back):
    """With two Auth Tokens set, callbacks signed with either are genuine, with a third they are not."""
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


async def test_callbacks_signed_with_a_shared_key_are_accepted(start, eventually):
    """If a Webhook Rule signs with a SharedKey, its callbacks are accepted once the secret is set."""
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
async def test_a_missing_shared_key_is_logged(start, eventually, keys, reason):
    """Callbacks signed with an unknown SharedKey get a 403, and the log names the missing setting."""
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
    """The request line of each refused callback has the reason, and so has one warning a minute."""
    events = []
    running = await start(event_log=lambda event, /, **fields: events.append((event, fields)), **settings)
    for _ in range(3):
        assert await call_back(running, path_of("x"), form(STRANGER, "sent"), **sent) == 403
    refused = [fields["reason"] for event, fields in events if event == "request" and fields["status"] == 403]
    assert refused == [reason] * 3
    assert [fields for event, fields in events if event == "callback_refused"] == [{"reason": reason}]


async def test_refused_callbacks_are_a_warning_again_after_a_minute():
    """While callbacks are refused, the warning is logged once a minute."""
    events, now = [], [0.0]
    forms = SignedForms(
        TwilioSignature(["token"]),
        public_url="https://x.example",
        event_log=lambda event, /, **_: events.append((event, now[0])),
        clock=lambda: now[0],
    )
    for now[0] in (0.0, 59.0, 60.0, 61.0, 125.0):
        with pytest.raises(HttpProblem):
            forms.read(unknown_request(), b"a=b")
    assert events == [("callback_refused", 0.0), ("callback_refused", 60.0), ("callback_refused", 125.0)]


async def test_with_shared_keys_the_auth_token_still_signs(start, fault, call_back):
    """SHA-1 with the Auth Token stays valid; in the header of a SharedKey it is not."""
    running = await start(twilio_webhook_keys="the-shared-secret")
    fault(running, "callbacks", "drop")
    issued = await running.issue()
    path, fields = path_of(issued["id"]), form(running.messages()[0].sid, "sent")
    header = {"X-Twilio-Webhooks-Signature-Settings": "key=k,algorithm=HMAC_SHA1"}
    assert await call_back(running, path, fields, headers=header) == 403
    assert await call_back(running, path, fields) == 204


async def test_a_status_never_goes_back(quiet, call_back):
    """Callbacks in any order, repeated or late: the highest rank stays; of two final statuses the first stays."""
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
async def test_the_loop_closes_whatever_the_order_of_callbacks(running, fault, eventually, settled, kind):
    """Out of order, repeated, before Twilio's response or late: delivered, approved, confirmed once."""
    fault(running, "callbacks", kind, count=1, **({"seconds": 0.2} if kind == "late" else {}))
    issued = await running.issue()

    async def told():
        return len(running.sandbox.ledger.callbacks()) == (4 if kind == "double" else 2)

    assert await eventually(told)
    assert (await first_send(running, issued["id"]))["status"] == "delivered"
    assert (await running.verify(issued["id"], running.codes()[0]))["verdict"] == "approved"
    assert await settled(running) == [("confirmed", 1)]


async def test_a_callback_delivers_a_lost_sid_and_its_confirmation(quiet, fault, call_back, settled):
    """Twilio's response was lost and the code was typed: the callback's SID releases the confirmation (promise 5)."""
    fault(quiet, "messages", "lost_response", count=1)
    issued = await quiet.issue()
    [message], path = quiet.messages(), path_of(issued["id"])
    assert (await quiet.verify(issued["id"], quiet.codes()[0]))["verdict"] == "approved"
    assert (await first_send(quiet, issued["id"]))["feedback"] == "awaiting_sid"
    assert quiet.confirmed() == set()
    statuses = await asyncio.gather(*(call_back(quiet, path, form(message.sid, "sent")) for _ in range(5)))
    assert set(statuses) == {204}
    assert await settled(quiet) == [("confirmed", 1)]
    assert await call_back(quiet, path, form(STRANGER, "delivered")) == 204  # the first SID stays
    shown = await first_send(quiet, issued["id"])
    assert (shown["status"], shown["feedback"]) == ("sent", "confirmed")
    assert quiet.confirmed() == {message.sid}


async def test_a_callback_before_twilios_response_releases_the_confirmation(running, hold, eventually, settled):
    """While Twilio's response is pending its callback releases the confirmation; the response adds no second one."""
    held = hold(running)
    issuing = asyncio.create_task(running.issue())
    [message] = await eventually(running.messages)
    verification_id = message.status_callback.split("/status/")[1].split("/")[0]
    assert (await running.verify(verification_id, running.codes()[0]))["verdict"] == "approved"
    held.deliver.set()
    assert await eventually(running.confirmed) == {message.sid}
    assert not issuing.done()
    held.responds.set()
    await issuing
    assert await settled(running) == [("confirmed", 1)]


async def test_without_an_auth_token_no_callback_is_accepted(start, call_back):
    """An API key's secret signs nothing: without an Auth Token every callback gets a 403."""
    key = {"twilio_api_key": "SK" + "5a" * 16, "twilio_api_secret": "sandbox-api-secret"}
    running = await start(twilio_auth_token="", **key)
    issued = await running.issue()
    fields = form(running.messages()[0].sid, "delivered")
    for token in ("", "sandbox-auth-token", "sandbox-api-secret"):
        assert await call_back(running, path_of(issued["id"]), fields, token=token) == 403
