"""Message Feedback: what is recorded, and what is refused."""

import aiohttp
import pytest
from twilio.base.exceptions import TwilioRestException

from service.sandbox import SandboxSettings, create_sandbox


async def test_a_tracked_message_starts_unconfirmed_and_becomes_confirmed(live):
    """With ProvideFeedback the outcome starts as unconfirmed; one post sets exactly that message to confirmed."""
    first, second = await live.send(), await live.send()
    feedback = await live.twilio().messages(first.sid).feedback.create_async(outcome="confirmed")

    assert (feedback.message_sid, feedback.outcome) == (first.sid, "confirmed")
    assert feedback.account_sid == live.settings.account_sid
    rows = {row["sid"]: row for row in await live.read("messages")}
    assert (rows[first.sid]["outcome"], rows[first.sid]["feedback_posts"]) == ("confirmed", 1)
    assert (rows[second.sid]["outcome"], rows[second.sid]["feedback_posts"]) == ("unconfirmed", 0)
    assert rows[first.sid]["feedback_at"] is not None


async def test_every_accepted_post_is_counted(live):
    """A second post for one SID is accepted and counted, so that tests see a double report."""
    sid = (await live.send()).sid
    for outcome in ("confirmed", "confirmed", "unconfirmed"):
        await live.twilio().messages(sid).feedback.create_async(outcome=outcome)
    [row] = await live.read("messages")
    assert (row["outcome"], row["feedback_posts"]) == ("unconfirmed", 3)


async def test_refused_posts_are_recorded_with_their_status(live):
    """A post for an unknown SID, with an invalid outcome or with wrong credentials is refused and recorded."""
    sid, unknown = (await live.send()).sid, "SM" + "0" * 32
    refused = [
        (live.twilio(), unknown, "confirmed", 404, 20404),
        (live.twilio(), sid, "Confirmed", 400, 20422),
        (live.twilio(password="wrong"), sid, "confirmed", 401, 20003),
    ]
    for client, target, outcome, status, code in refused:
        with pytest.raises(TwilioRestException) as error:
            await client.messages(target).feedback.create_async(outcome=outcome)
        assert (error.value.status, error.value.code) == (status, code)

    posts = await live.read("feedback")
    assert [(post["sid"], post["outcome"], post["status"]) for post in posts] == [
        (target, outcome, status) for _, target, outcome, status, _ in refused
    ]
    assert [post["status"] for post in await live.read("feedback", sid=sid)] == [400, 401]
    [row] = await live.read("messages")
    assert (row["outcome"], row["feedback_posts"]) == ("unconfirmed", 0)


async def test_feedback_without_provide_feedback_is_accepted_by_default(live):
    """A message sent without ProvideFeedback has no outcome until feedback is posted."""
    sid = (await live.send(provide_feedback=None)).sid
    assert (await live.read("messages"))[0]["outcome"] is None
    await live.twilio().messages(sid).feedback.create_async(outcome="confirmed")
    assert (await live.read("messages"))[0]["outcome"] == "confirmed"


async def test_feedback_without_provide_feedback_can_be_refused(serve_application, connect):
    """With `require_provide_feedback`, feedback gets a 400 for messages without ProvideFeedback, else a 200."""
    settings = SandboxSettings(require_provide_feedback=True, delivery_seconds=0)
    server = serve_application(create_sandbox(settings))
    async with aiohttp.ClientSession() as http:
        live = connect(server.url, settings, http)
        plain, tracked = await live.send(provide_feedback=False), await live.send()
        with pytest.raises(TwilioRestException) as refused:
            await live.twilio().messages(plain.sid).feedback.create_async(outcome="confirmed")
        assert (refused.value.status, refused.value.code) == (400, 20422)
        response = await live.twilio().messages(tracked.sid).feedback.create_async(outcome="confirmed")
        assert response.outcome == "confirmed"
    server.stop()
