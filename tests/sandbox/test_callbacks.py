"""Status callbacks: signed as Twilio's library requires, in Twilio's order, or out of order under a fault."""

import asyncio
import socket
import time
from datetime import datetime, timedelta

import aiohttp
import pytest
from twilio.request_validator import RequestValidator, get_signature_algorithm

from service.sandbox import SandboxSettings, create_sandbox
from service.sandbox.signing import sign


@pytest.fixture
def validator(live):
    """Return Twilio's own signature validator."""
    return RequestValidator(live.settings.auth_token)


def test_the_signature_matches_a_known_vector():
    """An empty field is part of the signed text."""
    fields = {"MessageSid": "SM" + "0" * 32, "MessageStatus": "delivered", "ErrorCode": ""}
    signature = sign("12345", "https://otp.example.com/twilio/status?tenant=a", fields)
    assert signature == "R2AhXUk63wctbkoDMI88sTCCgkI="


async def test_sent_and_delivered_are_reported_in_order_and_signed(live, receiver, validator):
    """The initial status has no callback; sent and delivered do, with signatures that Twilio's library accepts."""
    url = f"{receiver.url}/twilio/status/ve_1/1?tenant=a&b=%2F"
    sid = (await live.send(status_callback=f"{url}#rc=2&rp=5xx")).sid
    posts = await receiver.until(2)

    assert receiver.statuses() == ["sent", "delivered"]
    for post in posts:
        assert post.path == "/twilio/status/ve_1/1?tenant=a&b=%2F"
        assert validator.validate(url, post.form, post.headers["X-Twilio-Signature"])
        assert not validator.validate(url, post.form | {"MessageSid": "SM0"}, post.headers["X-Twilio-Signature"])
        assert (post.form["MessageSid"], post.form["SmsSid"]) == (sid, sid)
        assert post.form["SmsStatus"] == post.form["MessageStatus"]
        assert (post.form["AccountSid"], post.form["ApiVersion"]) == (live.settings.account_sid, "2010-04-01")
        assert (post.form["To"], post.form["From"], post.form["ErrorCode"]) == (live.number, "+15005550006", "")
        assert post.headers["Content-Type"].startswith("application/x-www-form-urlencoded")
    assert "RawDlrDoneDate" not in posts[0].form
    assert len(posts[1].form["RawDlrDoneDate"]) == 10
    assert posts[0].headers["I-Twilio-Idempotency-Token"] != posts[1].headers["I-Twilio-Idempotency-Token"]


async def test_a_shared_key_signs_in_place_of_the_auth_token(serve_application, connect, receiver):
    """With a SharedKey the header has ID and algorithm, Twilio's library accepts it, and the fragment is ignored."""
    settings = SandboxSettings(delivery_seconds=0, shared_key="the-shared-secret")
    server = serve_application(create_sandbox(settings))
    receiver.statuses_to_return = [500]
    async with aiohttp.ClientSession() as http:
        live = connect(server.url, settings, http)
        await live.send(status_callback=f"{receiver.url}/x#rc=3&rp=5xx")
        posts = await receiver.until(2)
        rows = await live.until("callbacks", lambda rows: len(rows) == 2)
    server.stop()
    assert [row["result"] for row in rows] == [500, 204]
    for post in posts:
        algorithm = get_signature_algorithm(post.headers["X-Twilio-Webhooks-Signature-Settings"])
        assert algorithm == "HMAC_SHA256"
        signature = post.headers["X-Twilio-Signature"]
        assert RequestValidator("the-shared-secret").validate(f"{receiver.url}/x", post.form, signature, algorithm)
        assert not RequestValidator(settings.auth_token).validate(f"{receiver.url}/x", post.form, signature)


async def test_a_messaging_services_callbacks_contain_its_sid(live, receiver, validator):
    """With a service `queued` is reported too; each callback contains the service and the sender that it picked."""
    service = "MG" + "b" * 32
    await live.send(from_=None, messaging_service_sid=service, status_callback=receiver.url + "/")
    for post in await receiver.until(3):
        assert (post.form["MessagingServiceSid"], post.form["From"]) == (service, live.settings.pool_number)
        assert validator.validate(receiver.url + "/", post.form, post.headers["X-Twilio-Signature"])
    assert receiver.statuses() == ["queued", "sent", "delivered"]
    [message] = await live.twilio().messages.list_async()
    assert message.date_sent is not None


async def test_a_queued_message_has_a_sender_but_no_date_sent(serve_application, connect, receiver):
    """A Messaging Service picks the sender when it queues; there is no DateSent yet, and segments are counted."""
    server = serve_application(create_sandbox(SandboxSettings(delivery_seconds=30)))
    async with aiohttp.ClientSession() as http:
        live = connect(server.url, SandboxSettings(), http)
        await live.plan("callbacks", "before", count=1)
        sid = (await live.send(from_=None, messaging_service_sid="MG" + "b" * 32, status_callback=receiver.url)).sid
        assert receiver.statuses() == ["queued"]
        message = await live.twilio().messages(sid).fetch_async()
        await asyncio.to_thread(server.stop)
    assert (message.status, message.from_, message.num_segments) == ("queued", SandboxSettings().pool_number, "1")
    assert (message.date_sent, message.price_unit) == (None, None)


async def test_out_of_order_leaves_queued_first(live, receiver):
    """Under `out_of_order` only `sent` comes too late; `queued` still comes first."""
    await live.plan("callbacks", "out_of_order", count=1)
    await live.send(from_=None, messaging_service_sid="MG" + "b" * 32, status_callback=receiver.url)
    await receiver.until(3)
    assert receiver.statuses() == ["queued", "delivered", "sent"]


async def test_fail_ends_undelivered_with_its_code(live, receiver):
    """Under `fail` the last callback is undelivered with the ErrorCode, and the message has the same."""
    await live.plan("callbacks", "fail", code=30007, count=1)
    await live.plan("callbacks", "fail", count=1)
    sid = (await live.send(status_callback=receiver.url)).sid
    posts = await receiver.until(2)
    assert receiver.statuses() == ["sent", "undelivered"]
    assert [post.form["ErrorCode"] for post in posts] == ["", "30007"]
    message = await live.twilio().messages(sid).fetch_async()
    assert (message.status, message.error_code, message.error_message) == ("undelivered", 30007, "Message filtered")

    await live.send(status_callback=receiver.url)
    assert (await receiver.until(4))[3].form["ErrorCode"] == "30003"


async def test_double_sends_each_callback_twice(live, receiver):
    """Under `double` every status is posted twice."""
    await live.plan("callbacks", "double", count=1)
    await live.send(status_callback=receiver.url)
    await receiver.until(4)
    assert receiver.statuses() == ["sent", "sent", "delivered", "delivered"]


async def test_out_of_order_sends_delivered_first(live, receiver):
    """Under `out_of_order` delivered comes before sent."""
    await live.plan("callbacks", "out_of_order", count=1)
    await live.send(status_callback=receiver.url)
    await receiver.until(2)
    assert receiver.statuses() == ["delivered", "sent"]


async def test_before_posts_the_callback_before_create_responds(live, receiver):
    """Under `before` the first callback is posted before create responds, and it is not repeated."""
    await live.plan("callbacks", "before", count=1)
    message = await live.send(status_callback=receiver.url)
    assert receiver.statuses() == ["sent"]
    assert receiver.posts[0].form["MessageSid"] == message.sid
    assert message.status == "queued"
    await receiver.until(2)
    assert receiver.statuses() == ["sent", "delivered"]


async def test_late_delays_the_callback_not_the_message(live, receiver):
    """Under `late` the message is delivered in time, and its callbacks come after the planned seconds."""
    await live.plan("callbacks", "late", seconds=0.6, count=1)
    sid = (await live.send(status_callback=receiver.url)).sid
    await live.until("messages", lambda rows: rows[0]["status"] == "delivered")
    assert receiver.posts == []
    await receiver.until(2)
    assert receiver.statuses() == ["sent", "delivered"]
    first, second = await live.until("callbacks", lambda rows: len(rows) == 2, sid=sid)
    between = datetime.fromisoformat(second["at"]) - datetime.fromisoformat(first["at"])
    assert between < timedelta(seconds=0.6), "each is late by the planned seconds, not one after the other"


async def test_a_callback_waits_for_the_previous_one(live, receiver):
    """While a slow receiver has not responded to `sent`, the message moves on, but `delivered` is not posted."""
    receiver.delay_seconds = 0.5
    await live.send(status_callback=receiver.url)
    await live.until("messages", lambda rows: rows[0]["status"] == "delivered")
    await asyncio.sleep(0.1)
    assert receiver.statuses() == ["sent"]
    await receiver.until(2)
    assert receiver.statuses() == ["sent", "delivered"]


async def test_drop_sends_no_callback(live, receiver):
    """Under `drop` the message is delivered without callbacks; the next message has callbacks again."""
    await live.plan("callbacks", "drop", count=1)
    dropped = (await live.send(status_callback=receiver.url)).sid
    await live.until("messages", lambda rows: rows[0]["status"] == "delivered")
    await live.send(status_callback=receiver.url)
    await receiver.until(2)
    assert dropped not in {post.form["MessageSid"] for post in receiver.posts}
    assert await live.read("callbacks", sid=dropped) == []


async def test_a_message_whose_response_was_lost_has_callbacks(live, receiver):
    """The callback contains the SID of a create whose response was lost."""
    await live.plan("messages", "lost_response", count=1)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await live.send(status_callback=receiver.url)
    [post, _] = await receiver.until(2)
    assert post.form["MessageSid"] == (await live.read("messages"))[0]["sid"]


@pytest.mark.parametrize(
    ("fragment", "statuses", "tries"),
    [
        ("", [500, 204], [500]),
        ("#rc=2&rp=5xx", [503, 500, 204], [503, 500, 204]),
        ("#rc=1&rp=5xx", [503, 500, 204], [503, 500]),
        ("#rc=3&rp=ct,4xx", [404, 500], [404, 500]),
        ("#rc=2&rp=all", [302, 400, 204], [302, 400, 204]),
        ("#rc=many&rp=5xx", [500, 500, 204], [500, 500]),
        pytest.param(f"#rc={'9' * 5000}&rp=5xx", [500, 500, 204], [500, 500, 204], id="thousands of digits"),
        ("#rc=0&rp=5xx", [500, 204], [500]),
        ("#rc=5&rp=all", [200], [200]),
    ],
)
async def test_the_fragment_controls_retries(live, receiver, fragment, statuses, tries):
    """`rc` and `rp` control how often and after which response a callback is retried, with one idempotency token."""
    receiver.statuses_to_return = list(statuses)
    sid = (await live.send(status_callback=f"{receiver.url}/{fragment}")).sid
    rows = await live.until("callbacks", lambda rows: rows and rows[-1]["message_status"] == "delivered", sid=sid)
    assert [row["result"] for row in rows if row["message_status"] == "sent"] == tries
    tokens = [post.headers["I-Twilio-Idempotency-Token"] for post in receiver.posts[: len(tries)]]
    assert len(set(tokens)) == 1


async def test_a_refused_connection_is_retried_once_by_default(live):
    """A refused connection is retried once unless the fragment says otherwise."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
        for fragment, tries in (("", 2), ("#rc=0", 1), ("#rc=3&rp=5xx", 1)):
            sid = (await live.send(status_callback=url + fragment)).sid
            rows = await live.until(
                "callbacks", lambda rows: rows and rows[-1]["message_status"] == "delivered", sid=sid
            )
            await live.until("callbacks", lambda rows, n=2 * tries: len(rows) == n, sid=sid)
            assert {row["result"] for row in rows} == {"ct"}


async def test_a_receiver_that_does_not_respond_times_out(live, receiver):
    """A receiver that does not respond within the fragment's read time is recorded as `rt`."""
    receiver.delay_seconds = 1
    sid = (await live.send(status_callback=f"{receiver.url}/#rt=100")).sid
    rows = await live.until("callbacks", lambda rows: len(rows) == 2, sid=sid)
    assert [row["result"] for row in rows] == ["rt", "rt"]


@pytest.mark.parametrize("host", ["otp.example.com", "192.0.2.1", "127.0.0.1.example.com", "[2001:db8::1]"])
async def test_callbacks_go_to_loopback_only(live, host):
    """A callback to any host but loopback is not sent, and the record shows why."""
    sid = (await live.send(status_callback=f"http://{host}:9/")).sid
    rows = await live.until("callbacks", lambda rows: len(rows) == 2, sid=sid)
    assert {row["result"] for row in rows} == {"not_loopback"}


async def test_callbacks_go_to_other_hosts_if_allowed(serve_application, connect):
    """With `allow_public_callbacks`, a host that is not loopback is tried."""
    settings = SandboxSettings(delivery_seconds=0, allow_public_callbacks=True)
    server = serve_application(create_sandbox(settings))
    async with aiohttp.ClientSession() as http:
        live = connect(server.url, settings, http)
        await live.send(status_callback="http://host.invalid:1/#rc=0")
        rows = await live.until("callbacks", lambda rows: len(rows) == 2)
        assert {row["result"] for row in rows} == {"ct"}
    server.stop()


async def test_deleting_messages_stops_those_in_transit(live, receiver):
    """After messages are deleted, no more callbacks are posted for them."""
    await live.plan("callbacks", "late", seconds=0.2, count=1)
    await live.send(status_callback=receiver.url)
    async with live.http.delete(f"{live.url}/_/messages") as response:
        assert response.status == 204
    await asyncio.sleep(0.4)
    assert receiver.posts == []
    assert await live.read("messages") == []


async def test_closing_stops_messages_in_transit(serve_application, connect, receiver):
    """A server that stops does not wait for pending callbacks, and posts none afterwards."""
    settings = SandboxSettings(delivery_seconds=0)
    server = serve_application(create_sandbox(settings))
    async with aiohttp.ClientSession() as http:
        live = connect(server.url, settings, http)
        await live.plan("callbacks", "late", seconds=30)
        await live.send(status_callback=receiver.url)
        await live.until("messages", lambda rows: rows[0]["status"] == "delivered")
        started = time.monotonic()
        await asyncio.to_thread(server.stop)
    assert time.monotonic() - started < 5
    assert receiver.posts == []
