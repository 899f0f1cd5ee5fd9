"""A worker process that is killed while it sends by the next channel of a list."""

import pytest

from service.sandbox import FaultPlan
from tests.every_channel import EVERY_SENDER, offering_every_channel

LIST = [{"channel": "whatsapp"}, {"channel": "sms"}, {"channel": "voice"}]
ENVIRONMENT = {name.upper(): value for name, value in EVERY_SENDER.items()}


def plan(running, endpoint, kind, **more):
    """Plan a fault in the simulator."""
    running.sandbox.faults.plan(FaultPlan(endpoint=endpoint, kind=kind, **more))


@pytest.mark.slow
async def test_a_killed_worker_leaves_its_send_unknown(start, launch, redis, eventually):
    """After SIGKILL during a send, the next process does not repeat it; the channel after it follows, once."""
    running = await offering_every_channel(start)(otp_worker=False)
    plan(running, "callbacks", "drop", count=1)
    plan(running, "messages", "slow", seconds=3600, count=1, channel="sms")
    plan(running, "phone", "busy", count=1)
    issued = await running.issue(channels=LIST)
    due = f"otp:{{{issued['id'][3]}}}:fallbacks"

    async def sends():
        return [(send["channel"], send["status"]) for send in (await running.read(issued["id"]))["sends"]]

    worker = await launch(running, "worker", OTP_PUBLIC_URL=running.url, **ENVIRONMENT)
    assert redis.zadd(due, {issued["id"]: 1}, xx=True, ch=True)
    assert await eventually(lambda: len(running.sandbox.faults.planned()) == 1, seconds=30)  # Twilio has the request
    worker.kill()
    assert await sends() == [("whatsapp", "queued"), ("sms", "unknown")]
    await worker.start()
    assert redis.zadd(due, {issued["id"]: 1}, xx=True, ch=True)  # its wait is over
    assert await eventually(running.sandbox.ledger.calls, seconds=30)
    assert [channel for channel, _ in await sends()] == ["whatsapp", "sms", "voice"]
    running.sandbox.faults.end()  # now Twilio takes the message
    assert await eventually(lambda: len(running.messages()) == 2, seconds=30)
    assert not redis.exists(due)
    assert len(running.sandbox.ledger.calls()) == 1
