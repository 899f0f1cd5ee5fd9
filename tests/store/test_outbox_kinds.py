"""Two kinds of outbox entries, on every engine: neither delays, halts or changes the other."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from service.core.confirming import ConfirmationHandler
from service.core.outbox import Delivered, Events, Forbidden, OutboxPolicy, OutboxWorker, Outcome, Reject
from service.core.partitions import PARTITIONS
from service.core.retrying import Retries
from service.core.verification import Feedback, Verdict
from service.metrics import without_slots
from service.store import keys as redis_keys
from service.store.outbox import RedisOutbox
from tests.store.engines import sid_of
from tests.store.test_confirming import NUMBERS, QUICK, Twilio

KIND = "webhook"
SLOTS = 4


@dataclass
class Receiver:
    """A handler of another kind: it waits for its receiver, then returns the outcome that a test has set."""

    outcome: Outcome = field(default_factory=Delivered)
    responds: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0
    delivered: list[tuple[str, str]] = field(default_factory=list)
    kind = "webhook"
    events = Events(*(f"webhook_{what}" for what in Events._fields))

    async def deliver(self, entry):
        self.waiting += 1
        await self.responds.wait()
        self.waiting -= 1
        self.delivered.append((entry.key, entry.particulars))
        return self.outcome

    def log_fields(self, entry):
        return {"verification_id": entry.key}


@asynccontextmanager
async def _working(outbox, handler):
    """Run a worker of one kind with few slots; yield its events."""
    events = []
    worker = OutboxWorker(
        outbox,
        handler,
        policy=OutboxPolicy(in_flight=SLOTS, **QUICK),
        settlements=Retries(),
        event_log=lambda event, /, **_: events.append(event),
    )
    running = asyncio.create_task(worker.run())
    try:
        yield events
    finally:
        worker.stop()
        await running


def _enqueue(stores, key, particulars='{"status":"approved"}|"more"', partition="0"):
    """Write an entry of the other kind, in the format of the scripts."""
    outbox, info = redis_keys.outbox(partition, KIND), redis_keys.outbox_info(partition, KIND)
    now_ms = int(time.time() * 1000)
    stores.admin.hset(info, key, f"0|{now_ms}|{particulars}")
    stores.admin.zadd(outbox, {key: now_ms}, nx=True)
    for each in (outbox, info):
        stores.admin.expire(each, 3600)


async def _approved(stores, count):
    """Approve verifications of several partitions; their confirmations are pending."""
    verifications = [await stores.sent("111111", to=to) for to in NUMBERS[:count]]
    for verification in verifications:
        assert await stores.verdict(verification, "111111") is Verdict.APPROVED
    return verifications


async def _keys(outbox):
    return [entry.key async for entry in outbox.pending()]


async def test_a_hanging_receiver_delays_no_confirmation(stores, eventually):
    """While every slot of one kind waits for its receiver, with more due, the confirmations are delivered."""
    webhooks, receiver, twilio = RedisOutbox(stores.scripts, KIND), Receiver(), Twilio()
    for number in range(3 * SLOTS):
        for partition in PARTITIONS:
            _enqueue(stores, f"event {partition}{number}", partition=partition)
    async with _working(webhooks, receiver), _working(stores.confirmations, ConfirmationHandler([twilio])):
        assert await eventually(lambda: receiver.waiting == SLOTS)
        verifications = await _approved(stores, 3 * SLOTS)
        assert await eventually(lambda: sorted(twilio.posts) == sorted(map(sid_of, verifications)))
        assert await eventually(stores_are_settled(stores))
        assert (receiver.waiting, receiver.delivered) == (SLOTS, [])
        receiver.responds.set()
        assert await eventually(lambda: len(receiver.delivered) == 3 * SLOTS * len(PARTITIONS))
    assert len(set(receiver.delivered)) == len(receiver.delivered)
    assert [await stores.feedback(each) for each in verifications] == [[Feedback.CONFIRMED]] * len(verifications)


def stores_are_settled(stores):
    """Return a condition: no confirmation is pending."""

    async def is_settled():
        return await stores.pending() == []

    return is_settled


async def test_a_halt_applies_to_one_kind(stores, eventually):
    """Refused credentials of one receiver halt only its kind; each kind has its own notes of halt and worker."""
    webhooks, twilio = RedisOutbox(stores.scripts, KIND), Twilio()
    receiver = Receiver(Forbidden("the receiver answered 401", is_of_credentials=True))
    receiver.responds.set()
    _enqueue(stores, "event")
    async with _working(webhooks, receiver) as events:
        assert await eventually(lambda: "webhook_halted" in events)
        assert not (await stores.confirmations.state()).is_worked
        async with _working(stores.confirmations, ConfirmationHandler([twilio])) as others:
            verifications = await _approved(stores, 8)
            assert await eventually(stores_are_settled(stores))
            assert len(twilio.posts) == len(verifications)
            confirmations, notified = await stores.confirmations.state(), await webhooks.state()
    assert (confirmations.halted, confirmations.is_worked, confirmations.pending) == (None, True, 0)
    assert (notified.halted, notified.is_worked, notified.pending) == ("the receiver answered 401", True, 1)
    assert set(others) == {"worker_started", "confirmation_settled", "worker_stopped"}


@pytest.mark.parametrize("particulars", ['{"status":"approved"}|"more"', "", "ü \x00 |||", "x" * 5000])
async def test_the_data_of_an_entry_is_opaque(stores, eventually, particulars):
    """The handler gets any text unchanged; rejected, listed and retried, the entry still has it."""
    webhooks, receiver = RedisOutbox(stores.scripts, KIND), Receiver(Reject("410 | gone\nfor good"))
    receiver.responds.set()
    (verification,) = await _approved(stores, 1)
    key = sid_of(verification)  # like the confirmation beside it
    _enqueue(stores, key, particulars)
    expected = particulars.encode().decode("latin-1")
    async with _working(webhooks, receiver) as events:
        assert await eventually(lambda: "webhook_failed" in events)
        [failed] = [each async for each in webhooks.failed()]
        assert (failed.entry.key, failed.entry.particulars, failed.reason) == (key, expected, "410 | gone for good")
        assert await stores.feedback(verification) == [Feedback.PENDING]
        receiver.outcome = Delivered()
        assert await webhooks.retry(failed.entry)
        assert await eventually(lambda: "webhook_settled" in events)
    assert receiver.delivered == [(key, expected)] * 2
    assert (await _keys(webhooks), await stores.pending()) == ([], [key])
    assert without_slots(await stores.stats.totals()).keys() == {
        "issued:US:sms",
        "accepted:US:sms",
        "queued:US:sms",
        "approved:US:sms",
    }
