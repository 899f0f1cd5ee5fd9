"""Outages of Twilio's feedback, or of Redis at a bad moment: few posts during the outage, and none is repeated."""

import asyncio

import pytest

from tests.journey.test_confirming import approve, metric, readiness
from tests.redis_client.servers import server

PENDING = 120
IN_FLIGHT = 16
PROBE_SECONDS = 0.2
OUTAGE_SECONDS = 2.0


@pytest.fixture
def own_redis(tmp_path):
    """Run a Redis server for this test only."""
    with server(tmp_path / "redis") as running:
        yield running


async def approved(running, count):
    """Create this many pending confirmations."""
    for place in range(count):
        await approve(running, f"+1415556{place:04d}")


async def confirming_is(running, state):
    """Return whether `/readyz` reports this state of the confirmations."""
    _, body = await readiness(running)
    return body["confirming"] == state


async def test_a_failing_twilio_gets_probes_and_then_every_report(start, fault, working, eventually):
    """In an outage only single probes follow the posts in flight, as /readyz reports; afterwards all are posted."""
    running = await start(otp_worker=False)
    await approved(running, PENDING)
    fault(running, "feedback", "500")
    clock = asyncio.get_running_loop().time
    policy = {"in_flight": IN_FLIGHT, "failing_probe_seconds": PROBE_SECONDS, "longest_delay_seconds": 300}
    async with working(running, **policy) as event_log:
        started = clock()
        assert await eventually(lambda: "confirming_halted" in [event for event, _ in event_log])
        reason = "halted: 8 confirmations in a row failed: Twilio answered 500, error 20500"
        assert await eventually(lambda: confirming_is(running, reason))
        assert await metric(running, "otp_confirming_halted") == 1
        await asyncio.sleep(OUTAGE_SECONDS)
        posts = len(running.sandbox.ledger.feedback())
        assert posts <= 7 + IN_FLIGHT + (clock() - started) / PROBE_SECONDS + 1
        running.sandbox.faults.end()
        assert await eventually(lambda: len(running.confirmed()) == PENDING, seconds=5)
        assert await eventually(lambda: ("confirming_resumed", {}) in event_log)
    assert [event for event, _ in event_log if event.startswith("confirming_")] == [
        "confirming_halted", "confirming_resumed",
    ]  # fmt: skip
    assert all(message.feedback_posts == 1 for message in running.sandbox.ledger.messages())
    assert await metric(running, "otp_confirming_halted") == 0


async def test_one_retry_after_applies_to_all_confirmations(start, fault, working, eventually):
    """A Retry-After for one confirmation pauses all; after it all are posted."""
    running = await start(otp_worker=False)
    await approved(running, 20)
    fault(running, "feedback", "429", seconds=2, count=1)
    async with working(running, in_flight=1):
        assert await eventually(running.sandbox.ledger.feedback)
        await asyncio.sleep(1.0)
        assert len(running.sandbox.ledger.feedback()) == 1
        assert await eventually(lambda: len(running.confirmed()) == 20)


async def test_a_settlement_outlives_an_outage_of_redis(start, own_redis, working, eventually):
    """Redis refuses writes for 2 s after Twilio accepted a confirmation: it is settled later and posted once."""
    running = await start(otp_worker=False, redis_url=own_redis.url)
    await approve(running, "+14155560001")
    arrive = running.sandbox.ledger.open_feedback

    def full_from_now(*post):
        if not running.sandbox.ledger.feedback():
            own_redis.admin.config_set("maxmemory", 1)
            asyncio.get_running_loop().call_later(2.0, own_redis.admin.config_set, "maxmemory", 0)
        return arrive(*post)

    running.sandbox.ledger.open_feedback = full_from_now
    own_redis.admin.config_set("maxmemory-policy", "noeviction")
    async with working(running, lease_ms=6000) as event_log:
        assert await eventually(running.confirmed)
        assert await eventually(lambda: not own_redis.admin.keys("otp:*:outbox"), seconds=15)
    assert [message.feedback_posts for message in running.sandbox.ledger.messages()] == [1]
    assert "confirmation_left_to_its_lease" not in [event for event, _ in event_log]
