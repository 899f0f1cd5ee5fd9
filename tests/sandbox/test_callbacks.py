"""Status callbacks: signed as Twilio's library demands, in Twilio's order, and out of it when that is planned."""

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
def check(live):
    """Twilio's own validator of signatures."""
    return RequestValidator(live.settings.auth_token)


def test_the_signature_matches_a_known_vector():
    """A blank field is part of what is signed."""
    fields = {"MessageSid": "SM" + "0" * 32, "MessageStatus": "delivered", "ErrorCode": ""}
    signature = sign("12345", "https://otp.example.com/twilio/status?tenant=a", fields)
    assert signature == "R2AhXUk63wctbkoDMI88sTCCgkI="


async def test_sent_and_delivered_are_reported_in_order_and_signed(live, receiver, check):
    """No callback for the initial status; sent, then delivered come with signatures that Twilio's library accepts."""
    url = f"{receiver.url}/twilio/status/ve_1/1?tenant=a&b=%2F"
    sid = (await live.send(status_callback=f"{url}#rc=2&rp=5xx")).sid
    posts = await receiver.until(2)

    assert receiver.statuses() == ["sent", "delivered"]
    for post in posts:
        assert post.path == "/twilio/status/ve_1/1?tenant=a&b=%2F"
        assert check.validate(url, post.form, post.headers["X-Twilio-Signature"])
        assert not check.validate(url, post.form | {"MessageSid": "SM0"}, post.headers["X-Twilio-Signature"])
        assert (post.form["MessageSid"], post.form["SmsSid"]) == (sid, sid)
        assert post.form["SmsStatus"] == post.form["MessageStatus"]
        assert (post.form["AccountSid"], post.form["ApiVersion"]) == (live.settings.account_sid, "2010-04-01")
        assert (post.form["To"], post.form["From"], post.form["ErrorCode"]) == (live.number, "+15005550006", "")
        assert post.headers["Content-Type"].startswith("application/x-www-form-urlencoded")
    assert "RawDlrDoneDate" not in posts[0].form
    assert len(posts[1].form["RawDlrDoneDate"]) == 10
    assert posts[0].headers["I-Twilio-Idempotency-Token"] != posts[1].headers["I-Twilio-Idempotency-Token"]


async def test_a_shared_key_signs_in_place_of_the_auth_token(serve_application, connect, receiver):
    """With a SharedKey the header names key and algorithm, Twilio's library accepts it, and the fragment is ignored."""
    settings = SandboxSettings(delivery_seconds=0, shared_key="the-shared-secret")
    server = serve_application(create_sandbox(settings))
    receiver.answers = [500]
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


async def test_a_callback_of_a_messaging_service_names_it(live, receiver, check):
    """With a service `queued` is reported too; each callback carries the service and the sender that it picked."""
    service = "MG" + "b" * 32
    await live.send(from_=None, messaging_service_sid=service, status_callback=receiver.url + "/")
    for post in await receiver.until(3):
        assert (post.form["MessagingServiceSid"], post.form["From"]) == (service, live.settings.pool_number)
        assert check.validate(receiver.url + "/", post.form, post.headers["X-Twilio-Signature"])
    assert receiver.statuses() == ["queued", "sent", "delivered"]
    [message] = await live.twilio().messages.list_async()
    assert message.date_sent is not None


async def test_a_queued_message_has_its_sender_and_was_not_sent(serve_application, connect, receiver):
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


async def test_out_of_order_of_a_messaging_service(live, receiver):
    """Under `out_of_order` only `sent` comes too late; `queued` comes first as ever."""
    await live.plan("callbacks", "out_of_order", count=1)
    await live.send(from_=None, messaging_service_sid="MG" + "b" * 32, status_callback=receiver.url)
    await receiver.until(3)
    assert receiver.statuses() == ["queued", "delivered", "sent"]


async def test_fail_ends_undelivered_with_its_code(live, receiver):
    """Under `fail` the last callback is undelivered with the ErrorCode, and the message says the same."""
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
    """Under `double` every status comes twice."""
    await live.plan("callbacks", "double", count=1)
    await live.send(status_callback=receiver.url)
    await receiver.until(4)
    assert receiver.statuses() == ["sent", "sent", "delivered", "delivered"]


async def test_out_of_order_sends_the_end_first(live, receiver):
    """Under `out_of_order` delivered comes before sent."""
    await live.plan("callbacks", "out_of_order", count=1)
    await live.send(status_callback=receiver.url)
    await receiver.until(2)
    assert receiver.statuses() == ["delivered", "sent"]


async def test_before_reports_before_create_answers(live, receiver):
    """Under `before` the first callback was answered when create answers, and it is not repeated."""
    await live.plan("callbacks", "before", count=1)
    message = await live.send(status_callback=receiver.url)
    assert receiver.statuses() == ["sent"]
    assert receiver.posts[0].form["MessageSid"] == message.sid
    assert message.status == "queued"
    await receiver.until(2)
    assert receiver.statuses() == ["sent", "delivered"]


async def test_late_delays_the_report_not_the_message(live, receiver):
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


async def test_a_report_waits_for_the_one_before(live, receiver):
    """While a slow receiver has not answered `sent`, the message moves on, but `delivered` is not posted."""
    receiver.delay_seconds = 0.5
    await live.send(status_callback=receiver.url)
    await live.until("messages", lambda rows: rows[0]["status"] == "delivered")
    await asyncio.sleep(0.1)
    assert receiver.statuses() == ["sent"]
    await receiver.until(2)
    assert receiver.statuses() == ["sent", "delivered"]


async def test_drop_sends_none(live, receiver):
    """Under `drop` the message is delivered and nobody is told; the next message is reported again."""
    await live.plan("callbacks", "drop", count=1)
    dropped = (await live.send(status_callback=receiver.url)).sid
    await live.until("messages", lambda rows: rows[0]["status"] == "delivered")
    await live.send(status_callback=receiver.url)
    await receiver.until(2)
    assert dropped not in {post.form["MessageSid"] for post in receiver.posts}
    assert await live.read("callbacks", sid=dropped) == []


async def test_a_message_whose_answer_was_lost_is_reported(live, receiver):
    """The callback brings the SID of a create whose answer was lost."""
    await live.plan("messages", "lost_answer", count=1)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await live.send(status_callback=receiver.url)
    [post, _] = await receiver.until(2)
    assert post.form["MessageSid"] == (await live.read("messages"))[0]["sid"]


@pytest.mark.parametrize(
    ("fragment", "answers", "tries"),
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
async def test_the_fragment_decides_what_is_repeated(live, receiver, fragment, answers, tries):
    """`rc` and `rp` decide how often and after which answer a callback is repeated, with one idempotency token."""
    receiver.answers = list(answers)
    sid = (await live.send(status_callback=f"{receiver.url}/{fragment}")).sid
    rows = await live.until("callbacks", lambda rows: rows and rows[-1]["message_status"] == "delivered", sid=sid)
    assert [row["result"] for row in rows if row["message_status"] == "sent"] == tries
    tokens = [post.headers["I-Twilio-Idempotency-Token"] for post in receiver.posts[: len(tries)]]
    assert len(set(tokens)) == 1


async def test_no_connection_is_tried_twice_by_default(live):
    """A refused connection is repeated once unless the fragment says otherwise."""
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


async def test_a_silent_receiver_is_given_up(live, receiver):
    """A receiver that does not answer within the fragment's read time counts as `rt`."""
    receiver.delay_seconds = 1
    sid = (await live.send(status_callback=f"{receiver.url}/#rt=100")).sid
    rows = await live.until("callbacks", lambda rows: len(rows) == 2, sid=sid)
    assert [row["result"] for row in rows] == ["rt", "rt"]


@pytest.mark.parametrize("host", ["otp.example.com", "192.0.2.1", "127.0.0.1.example.com", "[2001:db8::1]"])
async def test_only_loopback_is_written_to(live, host):
    """A callback to any host but loopback is not sent, and says so in the record."""
    sid = (await live.send(status_callback=f"http://{host}:9/")).sid
    rows = await live.until("callbacks", lambda rows: len(rows) == 2, sid=sid)
    assert {row["result"] for row in rows} == {"not_loopback"}


async def test_other_hosts_are_written_to_when_the_settings_allow(serve_application, connect):
    """Under the switch, a host that is not loopback is tried."""
    settings = SandboxSettings(delivery_seconds=0, allow_public_callbacks=True)
    server = serve_application(create_sandbox(settings))
    async with aiohttp.ClientSession() as http:
        live = connect(server.url, settings, http)
        await live.send(status_callback="http://host.invalid:1/#rc=0")
        rows = await live.until("callbacks", lambda rows: len(rows) == 2)
        assert {row["result"] for row in rows} == {"ct"}
    server.stop()


async def test_forgetting_stops_messages_under_way(live, receiver):
    """After the messages are forgotten no callback about them comes."""
    await live.plan("callbacks", "late", seconds=0.2, count=1)
    await live.send(status_callback=receiver.url)
    async with live.http.delete(f"{live.url}/_/messages") as answer:
        assert answer.status == 204
    await asyncio.sleep(0.4)
    assert receiver.posts == []
    assert await live.read("messages") == []


async def test_closing_ends_what_is_under_way(serve_application, connect, receiver):
    """A server that stops does not wait for callbacks that are still to come, and sends none afterwards."""
    settings = SandboxSettings(delivery_seconds=0)
    server = serve_application(create_sandbox(settings))
    async with aiohttp.ClientSession() as http:
        live = connect(server.url, settings, http)
        await live.plan("callbacks", "late", seconds=30)
        await live.send(status_callback=receiver.url)
        await live.until("messages", lambda rows: rows[0]["status"] == "delivered")
        began = time.monotonic()
        await asyncio.to_thread(server.stop)
    assert time.monotonic() - began < 5
    assert receiver.posts == []
