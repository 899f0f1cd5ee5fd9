"""The worker on real Redis, on every engine, with a simulated Twilio whose responses the test chooses."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from types import SimpleNamespace

import pytest

from service.core.confirming import ConfirmationHandler
from service.core.outbox import OutboxPolicy, OutboxStore, OutboxWorker
from service.core.partitions import PARTITIONS
from service.core.retrying import Retries, RetryPolicy
from service.core.sender import ConfirmForbidden, ConfirmPostponed, ConfirmRefused
from service.core.store_health import StoreUnavailable
from service.core.verification import Feedback, Verdict, partition_of
from service.providers.twilio.statuses import is_message_sid
from service.store import keys as redis_keys
from tests.store.engines import KEYRING, MINUTE_MS, sid_of

HOUR_SECONDS = 3600
DAY_MS = 24 * 60 * MINUTE_MS
QUICK = {"poll_seconds": 0.02, "shortest_delay_seconds": 0.02, "longest_delay_seconds": 0.1, "probe_seconds": 0.05}


def _numbers():
    """Return a number of each of the 16 partitions, lowest first."""
    found = {}
    for line in count(1000):
        number = f"+1202555{line:04}"
        found.setdefault(KEYRING.partition(number), number)
        if len(found) == 16:
            return [number for _, number in sorted(found.items())]
    raise AssertionError("unreachable")


NUMBERS = _numbers()


@dataclass
class Twilio:
    """A `Sender` that raises for each SID what the test chooses, and `otherwise` for all others."""

    failures: dict[str, Exception] = field(default_factory=dict)
    otherwise: Exception | None = None
    posts: list[str] = field(default_factory=list)

    def is_sid(self, text):
        return is_message_sid(text)

    async def confirm(self, sid):
        self.posts.append(sid)
        failure = self.failures.get(sid, self.otherwise)
        if failure is not None:
            raise failure


@dataclass
class Gate(Twilio):
    """A Twilio whose responses wait for the gate to open; it counts simultaneous posts."""

    opened: asyncio.Event = field(default_factory=asyncio.Event)
    held: set[str] = field(default_factory=set)  # if not empty, only these wait
    at_once: int = 0
    most_at_once: int = 0

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.opened.set()

    async def confirm(self, sid):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.001)
        if sid in self.held or not self.held:
            await self.opened.wait()
        self.at_once -= 1
        await super().confirm(sid)


@dataclass
class Clock:
    """The worker's clock, which the test advances."""

    now: float = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def twilio():
    """Return a Twilio that accepts every report, until a test changes that."""
    return Twilio()


@pytest.fixture
def gate():
    """Return a Twilio that responds when its block ends."""
    return Gate()


def _worker(stores, twilio, event_log, *, clock=None, **policy):
    return OutboxWorker(
        stores.confirmations,
        ConfirmationHandler([twilio]),
        policy=OutboxPolicy(**policy),
        settlements=Retries(RetryPolicy(first_pause_seconds=0.01, longest_pause_seconds=0.05)),
        event_log=lambda event, /, **_: event_log.append(event),
        **({} if clock is None else {"clock": clock}),
    )


@asynccontextmanager
async def _working(stores, twilio, **policy):
    """Run a worker beside the test; yield the names of its events."""
    event_log = []
    worker = _worker(stores, twilio, event_log, **{**QUICK, **policy})
    running = asyncio.create_task(worker.run())
    try:
        yield event_log
    finally:
        worker.stop()
        await running


async def _enqueueing(stores, to=NUMBERS[0]):
    """Approve a verification of a number, so that its confirmation is pending."""
    verification = await stores.sent("111111", to=to)
    assert await stores.verdict(verification, "111111") is Verdict.APPROVED
    return verification


async def _step(worker, clock=None, seconds=0.0):
    """Advance the worker's clock, and let the worker finish one step."""
    if clock is not None:
        clock.now += seconds
    started = await worker.step()
    await worker.idle()
    return started


async def _entry(stores, verification):
    (entry,) = (await stores.claim(verification)).entries
    return entry


async def test_entries_outlive_any_halt_in_every_partition(stores, twilio):
    """Days of refused credentials end no entry: one probe looks at all partitions, which keeps them for 25 h."""
    clock = Clock()
    worker = _worker(stores, twilio, [], clock=clock)
    for to in NUMBERS:
        await _enqueueing(stores, to)
    keys = [key for p in PARTITIONS for key in (redis_keys.outbox(p), redis_keys.outbox_info(p))]
    twilio.otherwise = ConfirmForbidden("Twilio answered 401")
    await _step(worker)
    for _ in range(3):
        stores.time_passes(DAY_MS)
        assert await _step(worker, clock, 31) == 1
        assert min(map(stores.admin.ttl, keys)) > 24 * HOUR_SECONDS
    twilio.otherwise = None
    for _ in range(2):
        stores.time_passes(31_000)
        await _step(worker, clock, 31)
    assert await stores.pending() == []
    assert await stores.failed() == {}
    assert (await stores.stats.totals())["confirmed:US:sms"] == len(NUMBERS)


async def _is_confirmed(stores):
    return await stores.pending() == []


async def test_a_single_refused_message_fails_and_stops_no_other(stores, twilio, eventually):
    """A SID that always gets 403, while others are accepted, fails after three tries; all others are confirmed."""
    refused = await _enqueueing(stores, NUMBERS[0])  # in the partition that the worker looks at first
    others = [await _enqueueing(stores, to) for to in NUMBERS[1:6]]
    twilio.failures[sid_of(refused)] = ConfirmForbidden("Twilio answered 403")
    async with _working(stores, twilio) as event_log:
        for _ in range(3):
            others.append(await _enqueueing(stores, NUMBERS[7]))
            assert await eventually(lambda: set(map(sid_of, others)) <= set(twilio.posts))
            assert await eventually(partial(_is_tried_again, stores, twilio, refused, len(twilio.posts)))
        assert await eventually(lambda: _is_confirmed(stores))
        assert event_log.count("confirmation_failed") == 1
    (failed,) = (await stores.failed()).values()
    assert (failed.entry.key, failed.reason) == (sid_of(refused), "Twilio answered 403, for this confirmation alone")
    assert [await stores.feedback(each) for each in others] == [[Feedback.CONFIRMED]] * len(others)
    assert await stores.feedback(refused) == [Feedback.FAILED]
    assert (await stores.confirmations.state()).halted is None


async def _is_tried_again(stores, twilio, verification, posts_before):
    return sid_of(verification) in twilio.posts[posts_before:] or bool(await stores.failed())


async def test_no_halt_is_noted_after_delivery_has_resumed(stores, twilio):
    """A task that notes the halt when another one has just resumed delivery leaves no note."""
    await _worker(stores, twilio, [])._delivering.note_halt()
    assert (await stores.confirmations.state()).halted is None


async def test_a_single_refused_message_is_not_every_probe(stores, twilio):
    """A probe takes the entry that is due first in all partitions, so a refused one cannot delay others."""
    clock = Clock()
    worker = _worker(stores, twilio, [], clock=clock)
    refused = await _enqueueing(stores, NUMBERS[0])
    twilio.failures[sid_of(refused)] = ConfirmForbidden("Twilio answered 403")
    assert await _step(worker) == 1
    other = await _enqueueing(stores, NUMBERS[9])
    stores.time_passes(MINUTE_MS)  # both are due by now, the refused one later
    assert await _step(worker, clock, 31) == 1
    assert twilio.posts == [sid_of(refused), sid_of(other)]


async def test_refused_credentials_fail_no_entry(stores, twilio):
    """While all posts are refused no entry fails and no try is counted; afterwards one post each is enough."""
    clock, event_log = Clock(), []
    worker = _worker(stores, twilio, event_log, clock=clock)
    enqueueing = [await _enqueueing(stores, to) for to in NUMBERS[:4]]
    for refusal in (ConfirmForbidden("Twilio answered 401"), ConfirmForbidden("Twilio answered 403")):
        twilio.otherwise = refusal
        for _ in range(12):
            await _step(worker, clock, 31)
            stores.time_passes(31_000)
        assert {entry.tries async for entry in stores.confirmations.pending()} == {0}
        twilio.otherwise = None
        assert await _step(worker, clock, 31) == 1
        stores.time_passes(31_000)
        enqueueing.append(await _enqueueing(stores, NUMBERS[5]))
    assert (await stores.confirmations.state()).halted is None
    twilio.posts.clear()
    while await _step(worker, clock, 31):
        stores.time_passes(31_000)
    assert len(twilio.posts) == len(set(twilio.posts)) == len(enqueueing) - 2  # the probes posted two
    assert await stores.pending() == []
    assert await stores.failed() == {}


async def test_while_halted_a_probe_is_one_post(stores, twilio):
    """Refused credentials are probed with one message at a time, however many are due."""
    clock = Clock()
    worker = _worker(stores, twilio, [], clock=clock)
    twilio.otherwise = ConfirmForbidden("Twilio answered 401")
    for to in NUMBERS:
        await _enqueueing(stores, to)
    await _step(worker)
    posted = len(twilio.posts)
    stores.time_passes(31_000)
    assert await _step(worker, clock, 29) == 0
    assert await _step(worker, clock, 2) == 1
    assert len(twilio.posts) == posted + 1


async def test_an_entry_settled_by_another_worker_is_not_logged_again(stores, twilio):
    """The event log has one line for the end of each entry, even if two workers have posted it."""
    settled, failed, event_log = await _enqueueing(stores, NUMBERS[0]), await _enqueueing(stores, NUMBERS[1]), []
    worker = _worker(stores, twilio, event_log)
    twilio.failures[sid_of(failed)] = ConfirmRefused("Twilio answered 404")
    for verification in (settled, failed):
        entry = await _entry(stores, verification)
        for _ in range(2):
            await worker.deliver(entry, now_ms=entry.since_ms)
    assert event_log == ["confirmation_settled", "confirmation_failed"]
    assert (
        (await stores.stats.totals())["confirmed:US:sms"]
        == (await stores.stats.totals())["confirmation_failed:US:sms"]
        == 1
    )


@pytest.mark.parametrize(
    ("hours", "tries", "given_up"), [(23, 20, False), (24, 19, False), (25, 0, False), (24, 20, True)]
)
async def test_a_busy_twilio_is_retried_for_a_day(stores, twilio, hours, tries, given_up):
    """An entry fails, with Twilio's last response, when it is 24 h old and has 20 tries; age alone is not enough."""
    verification, event_log = await _enqueueing(stores), []
    twilio.otherwise = ConfirmPostponed("Twilio answered 503")
    entry = replace(await _entry(stores, verification), tries=tries)
    await _worker(stores, twilio, event_log).deliver(entry, now_ms=entry.since_ms + hours * HOUR_SECONDS * 1000)
    assert event_log == ["confirmation_failed" if given_up else "confirmation_postponed"]
    reasons = [failed.reason for failed in (await stores.failed()).values()]
    assert reasons == (["given up after 24 h: Twilio answered 503"] if given_up else [])
    assert [entry.tries async for entry in stores.confirmations.pending()] == ([] if given_up else [1])


@dataclass
class WithoutNotes:
    """The store while the node with the worker's notes is unavailable: beat, halt and resume fail, the rest works."""

    entries: OutboxStore

    def __getattr__(self, name):
        return getattr(self.entries, name)

    async def beat(self, _ttl_seconds):
        raise StoreUnavailable("away")

    async def halt(self, _reason, **_):
        raise StoreUnavailable("away")

    async def resume(self):
        raise StoreUnavailable("away")


async def test_failing_notes_do_not_stop_the_worker(stores, twilio):
    """A worker that cannot write its notes (alive, halted, resumed) halts, resumes and posts as usual."""
    clock, event_log = Clock(), []
    away = SimpleNamespace(confirmations=WithoutNotes(stores.confirmations))
    worker = _worker(away, twilio, event_log, clock=clock)
    for to in NUMBERS[:4]:
        await _enqueueing(stores, to)
    twilio.otherwise = ConfirmForbidden("Twilio answered 401")
    assert await _step(worker) == 4
    assert {entry.tries async for entry in stores.confirmations.pending()} == {0}
    assert await _step(worker, clock, 29) == 0  # the worker is halted, but the note is missing
    twilio.otherwise = None
    while await stores.pending():
        stores.time_passes(31_000)
        assert await _step(worker, clock, 31) > 0
    assert set(event_log) == {"confirming_halted", "confirming_resumed", "confirmation_settled"}
    assert event_log.count("confirming_resumed") == 1
    assert event_log.count("confirmation_settled") == 4
    assert not (await stores.confirmations.state()).is_worked


async def test_simultaneous_posts_are_bounded(stores, gate, eventually):
    """With entries in every partition, the number of simultaneous posts stays within the policy; all are confirmed."""
    for to in NUMBERS:
        for _ in range(2):
            await _enqueueing(stores, to)
    async with _working(stores, gate, in_flight=5):
        async with gate:
            assert await eventually(lambda: gate.at_once >= 5)
            await asyncio.sleep(0.1)
        assert await eventually(lambda: _is_confirmed(stores))
    assert gate.most_at_once == 5
    assert len(gate.posts) == len(set(gate.posts)) == 2 * len(NUMBERS)


async def test_entries_of_one_partition_use_all_concurrency(stores, gate, eventually):
    """Entries of one partition use all the simultaneous posts that the policy allows."""
    for _ in range(25):
        await _enqueueing(stores, NUMBERS[3])
    async with _working(stores, gate, in_flight=20, poll_seconds=60):
        async with gate:
            assert await eventually(lambda: gate.at_once == 20)
        assert await eventually(lambda: _is_confirmed(stores))


async def test_a_slow_post_delays_no_other(stores, gate, eventually):
    """While Twilio leaves one post without a response, all other entries are posted, even those of its partition."""
    enqueueing = [await _enqueueing(stores, to) for to in (*NUMBERS, NUMBERS[0], NUMBERS[0])]
    gate.held.add(sid_of(enqueueing[0]))
    async with _working(stores, gate, in_flight=2):
        async with gate:
            assert await eventually(lambda: set(gate.posts) == {sid_of(each) for each in enqueueing[1:]})
        assert await eventually(lambda: _is_confirmed(stores))


@dataclass
class InterruptedClaim:
    """The store, with a step that runs once between a claim and its reply."""

    entries: OutboxStore
    happens: Callable[[], Awaitable[None]] | None = None

    def __getattr__(self, name):
        return getattr(self.entries, name)

    async def claim(self, *asked, **limits):
        claim = await self.entries.claim(*asked, **limits)
        happens, self.happens = self.happens, None
        if happens is not None:
            await happens()
        return claim


@pytest.mark.parametrize("moment", ["claim", "busy"])
async def test_a_wake_during_a_claim_is_not_lost(stores, gate, eventually, moment):
    """An entry written during a claim of its partition, or while all posts are busy, waits for no poll."""
    store = InterruptedClaim(stores.confirmations)
    worker = _worker(SimpleNamespace(confirmations=store), gate, [], in_flight=1, poll_seconds=60)

    async def enqueue_another():
        await _enqueueing(stores, NUMBERS[0])
        worker.wake(partition_of((await _enqueueing(stores, NUMBERS[0])).id))

    await _enqueueing(stores, NUMBERS[0])
    if moment == "claim":
        store.happens = enqueue_another
    running = asyncio.create_task(worker.run())
    async with gate:
        assert await eventually(lambda: gate.at_once == 1)
        if moment == "busy":
            await enqueue_another()
    assert await eventually(lambda: _is_confirmed(stores))
    worker.stop()
    await running


async def test_a_running_worker_is_reported(stores, twilio, eventually):
    """The state of the queue soon shows that a worker is alive, even while it has nothing to do."""

    async def is_worked():
        return (await stores.confirmations.state()).is_worked

    assert not await is_worked()
    async with _working(stores, twilio):
        assert await eventually(is_worked)
    assert 0 < stores.admin.ttl(redis_keys.worker()) <= 60
    assert partition_of((await _enqueueing(stores)).id) == "0"


@dataclass
class Flaky:
    """The store, where one step fails a number of times: done with its reply lost, or not done."""

    entries: OutboxStore
    step: str
    failures: int
    is_done: bool = False

    def __getattr__(self, name):
        real = getattr(self.entries, name)
        if name != self.step:
            return real

        async def step(*args, **options):
            if self.failures == 0:
                return await real(*args, **options)
            self.failures -= 1
            if self.is_done:
                await real(*args, **options)
            raise StoreUnavailable("settle: TimeoutError")

        return step


@pytest.mark.parametrize("outage", [(1, False), (6, False), (1, True), (6, True)], ids=str)
@pytest.mark.parametrize(
    "ending",
    [("settle", None), ("fail", ConfirmRefused("Twilio answered 404")), ("postpone", ConfirmPostponed("busy"))],
)
async def test_the_outcome_of_a_post_is_stored_despite_redis_failures(stores, twilio, eventually, ending, outage):
    """There is one post, even if storing its outcome fails several times: no lease has to expire."""
    verification = await _enqueueing(stores)
    step, twilio.otherwise = ending
    event_log = []
    flaky = Flaky(stores.confirmations, step, *outage)
    worker = _worker(SimpleNamespace(confirmations=flaky), twilio, event_log, shortest_delay_seconds=600)
    await _step(worker)

    async def tries():
        return [(entry.key, entry.tries) async for entry in stores.confirmations.pending()]

    expected = [(sid_of(verification), 1)] if step == "postpone" else []
    assert await eventually(lambda: _equals(tries, expected))
    assert await eventually(lambda: flaky.failures == 0)
    assert twilio.posts == [sid_of(verification)]
    assert "confirmation_left_to_its_lease" not in event_log
    assert (await stores.failed()).keys() == ({sid_of(verification)} if step == "fail" else set())


async def _equals(read, expected):
    return await read() == expected


async def test_entries_claimed_during_a_halt_are_released_untried(stores, twilio):
    """Entries claimed while posting halts are not posted, count no try, and are due at once."""
    enqueueing = [await _enqueueing(stores, to) for to in NUMBERS[:5]]
    store = InterruptedClaim(stores.confirmations)
    worker = _worker(SimpleNamespace(confirmations=store), twilio, [])

    async def halt():
        worker._halt.forbid("Twilio answered 401")

    store.happens = halt
    assert await _step(worker) == 5
    assert twilio.posts == []
    stores.time_passes(1)
    for verification in enqueueing:
        assert (await _entry(stores, verification)).tries == 0


async def test_a_note_that_could_not_be_deleted_is_deleted_later(stores, twilio, eventually):
    """If Redis fails when posting resumes, the note of the halt is deleted soon after; a newer halt keeps its own."""
    clock = Clock()
    flaky = Flaky(stores.confirmations, "resume", 3)
    worker = _worker(SimpleNamespace(confirmations=flaky), twilio, [], clock=clock)
    await _enqueueing(stores)
    twilio.otherwise = ConfirmForbidden("Twilio answered 401")
    await _step(worker)
    assert (await stores.confirmations.state()).halted == "Twilio answered 401"
    twilio.otherwise = None
    stores.time_passes(31_000)
    assert await _step(worker, clock, 31) == 1
    assert flaky.failures < 3

    async def is_taken_back():
        return (await stores.confirmations.state()).halted is None

    assert await eventually(is_taken_back)
