"""What waits for replicas: nobody is told before they have it, and never two people of one approval.

The engines have no replicas. With WAIT for none of them everything is replicated; with WAIT for one nothing is.
`tests/redis_client/test_waiting.py` has real replicas, and `tests/failover` real failovers.
"""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from service.core.actions import Action
from service.core.channels import Channel
from service.core.retrying import Retries, RetryPolicy
from service.core.store_health import StoreCause, StoreUnavailable
from service.core.verification import Feedback, Status, Verdict, partition_of
from service.core.verification_store import Matching
from service.metrics import without_slots
from service.redis_client import WaitPolicy, open_redis_client
from service.store import keys as redis_keys
from service.store import replication
from service.store.fields import FORMAT_VERSION
from service.store.replication import ReplicatedVerifications
from service.store.scripts import Scripts
from tests.store.engines import CODE_TTL_MS, MINUTE_MS, ROTATED, Stores, sid_of
from tests.store.test_fallbacks import THREE, claim, follow
from tests.store.test_funnel import counted

WAIT_MS = 10


class PartlyReplicated(Scripts):
    """Scripts of which some steps do not reach the replicas in time: they run, and WAIT reports too few."""

    late = ()
    while_waiting = None  # awaited after each step was written, before its wait ends

    async def run_and_wait(self, name, keys, args):
        written = await super().run_and_wait(name, keys, args)
        if self.while_waiting is not None:
            await self.while_waiting(args[0])
        return written._replace(is_replicated=False) if args[0] in self.late else written

    async def command_and_wait(self, *words, **options):
        written = await super().command_and_wait(*words, **options)
        return written._replace(is_replicated=False) if "marker" in self.late else written


@asynccontextmanager
async def waiting(stores, *, replicas=0, late=(), waits_for_issues=False, **policy):
    """Open the same stores in a process that waits for replicas, which have all but the `late` steps."""
    policy = replace(stores.policy, waits_for_replicas=True, **policy)
    client = await open_redis_client(
        stores.url, client_name="tests", timeout_seconds=20, wait=WaitPolicy(replicas, WAIT_MS)
    )
    retries = Retries(RetryPolicy(first_pause_seconds=0.01))
    scripts = PartlyReplicated(client)
    scripts.late = late
    opened = Stores(scripts, stores.admin, policy=policy, keyring=stores.keyring, action=stores.action)
    opened.retries = retries
    opened.inbound._store = opened.verifications = ReplicatedVerifications(
        scripts,
        stores.keyring,
        policy,
        waits_for_issues=waits_for_issues,
        retries=retries,
        event_log=lambda event, /, **fields: opened.lines.append((event, fields)),
    )
    opened.lines = []
    try:
        yield opened
    finally:
        retries.stop(0)
        await retries.idle()
        await client.close()


async def refused(step):
    """Await what must be refused because replicas lack it."""
    with pytest.raises(StoreUnavailable) as failure:
        await step
    assert failure.value.cause is StoreCause.NOT_REPLICATED


async def status(stores, verification):
    return (await stores.read(verification)).status


async def approvals(stores):
    """Count the approvals."""
    return without_slots(await stores.stats.totals())["approved:US:sms"]


async def test_of_an_approval_that_is_replicated_one_request_is_told(stores):
    """Of many right checks at once one is approved, the others are `used`, and each is counted as such, once."""
    verification = await stores.sent()
    async with waiting(stores) as first, waiting(stores) as second:
        checks = [each.verdict(verification, "111111") for each in (first, second) * 4]
        verdicts = await asyncio.gather(*checks)
    assert sorted(verdicts) == [Verdict.APPROVED, *[Verdict.USED] * 7]
    assert await status(stores, verification) is Status.APPROVED
    assert await stores.pending() == [sid_of(verification)]
    assert await approvals(stores) == 1
    assert (await stores.stats.totals())["check:used"] == 7


async def test_an_approval_is_counted_under_the_channel_of_its_send(stores):
    """Once the replicas have it, it counts for the send whose code was typed, not for the first or the usual one."""
    verification = await stores.issue("111111", channel=Channel.VOICE)
    await stores.resend(verification, "222222", Channel.WHATSAPP)
    async with waiting(stores) as opened:
        assert await opened.verdict(verification, "222222") is Verdict.APPROVED
    counted = without_slots(await stores.stats.totals())
    assert {name: value for name, value in counted.items() if name.startswith("approved:")} == {
        "approved:US:whatsapp": 1
    }


async def test_an_approval_that_is_not_replicated_stays_pending_and_is_repeated_at_no_cost(stores):
    """It is refused; the verification reads as pending; the same code waits again, and costs no attempt."""
    verification = await stores.sent()
    async with waiting(stores, replicas=1) as late:
        for _ in range(7):  # more often than there are attempts
            await refused(late.check(verification, "111111"))
        read = await stores.read(verification)
        assert (read.status, read.attempts, read.sends[0].feedback) == (Status.PENDING, 1, Feedback.PENDING)
        assert await late.verdict(verification, "000000") is Verdict.WRONG_CODE
        assert await approvals(stores) == 1
    async with waiting(stores) as opened:
        result = await opened.check(verification, "111111")
        assert (result.verdict, result.verification.status) == (Verdict.APPROVED, Status.APPROVED)
        assert result.verification.attempts == 2
        assert await opened.verdict(verification, "111111") is Verdict.USED
    assert await stores.pending() == [sid_of(verification)]


async def test_waits_in_vain_are_logged_at_once_and_then_rarely(stores):
    """Of all that fail within a second the log has one line, with the reason; of those that succeed it has none."""
    verification = await stores.sent()
    async with waiting(stores) as opened:
        assert await opened.verdict(verification, "111111") is Verdict.APPROVED
        assert opened.lines == []
    for step in ("look", "tell", "marker"):
        async with waiting(stores, late=(step,), waits_for_issues=True) as late:
            for _ in range(3):
                if step == "look":
                    await refused(late.sent())
                else:
                    await refused(late.check(await late.sent(), "111111"))
            assert late.lines == [("replication_wait_failed", {"reason": f"{step}: not_replicated"})]


async def test_guesses_neither_end_nor_take_an_approval_that_waits(stores):
    """Wrong codes use up the attempts, then are `locked`; the right code is approved once the replicas have it."""
    verification = await stores.sent()
    async with waiting(stores, replicas=1) as late:
        await refused(late.check(verification, "111111"))
        verdicts = [await late.verdict(verification, "000000") for _ in range(5)]
        assert verdicts == [*[Verdict.WRONG_CODE] * 4, Verdict.LOCKED]
    assert await status(stores, verification) is Status.PENDING
    async with waiting(stores) as opened:
        assert await opened.verdict(verification, "111111") is Verdict.APPROVED


@pytest.mark.parametrize("asked", [{"to": "+12025550145"}, {"purpose": "payment"}])
async def test_a_repeat_must_be_about_the_same(stores, asked):
    """The code of an approval that waits, for another number or purpose, is a `mismatch` and costs an attempt."""
    verification = await stores.sent()
    async with waiting(stores, replicas=1) as late:
        await refused(late.check(verification, "111111", to=verification.to, purpose="login"))
        assert await late.verdict(verification, "111111", **asked) is Verdict.MISMATCH
        assert (await stores.read(verification)).attempts == 2
        await refused(late.check(verification, "111111", to=verification.to, purpose="login"))
    assert (await stores.read(verification)).attempts == 2


@pytest.mark.parametrize("matching", [Matching.MISMATCHED, Matching.DECLINED])
async def test_a_repeat_must_have_the_match(stores, matching):
    """The link of an approval that waits, with a wrong match, costs an attempt; declined, it ends the verification."""
    verdict = {Matching.MISMATCHED: Verdict.WRONG_CODE, Matching.DECLINED: Verdict.CANCELED}[matching]
    url, stores = stores.url, stores.under(action=Action.LINK)
    stores.url = url
    verification = await stores.sent()
    async with waiting(stores, replicas=1) as late:
        await refused(late.check(verification, "111111"))
        result = await late.check(verification, "111111", matching=matching)
        assert (result.verdict, result.verification.attempts) == (verdict, 2)


async def test_a_code_under_an_old_key_is_repeated_at_no_cost_too(stores):
    """After a key rotation all listed keys are tried."""
    verification = await stores.sent()
    url, rotated = stores.url, stores.under(ROTATED)
    rotated.url = url
    async with waiting(rotated, replicas=1) as late:
        for _ in range(2):
            await refused(late.check(verification, "111111"))
    async with waiting(rotated) as opened:
        result = await opened.check(verification, "111111")
        assert (result.verdict, result.verification.attempts) == (Verdict.APPROVED, 1)


async def test_only_the_newest_code_may_count_here_too(stores):
    """With OTP_SUPERSEDE_CODES an earlier code is superseded, and the newest one waits for the replicas."""
    verification = await stores.sent()
    await stores.resend(verification, "222222")
    await stores.deliver(verification, 2)
    async with (
        waiting(stores, supersede_codes=True) as opened,
        waiting(stores, supersede_codes=True, replicas=1) as late,
    ):
        assert await opened.verdict(verification, "111111") is Verdict.SUPERSEDED
        await refused(late.check(verification, "222222"))
        assert await status(stores, verification) is Status.PENDING
        assert await opened.verdict(verification, "222222") is Verdict.APPROVED


async def test_another_code_may_take_the_place_of_an_approval_that_waits(stores):
    """While the approval of one code waits, that of a resend is approved and confirmed too; the first is then used."""
    verification = await stores.sent()
    await stores.resend(verification, "222222")
    await stores.deliver(verification, 2)
    async with waiting(stores, replicas=1) as late:
        await refused(late.check(verification, "111111"))
    async with waiting(stores) as opened:
        assert await opened.verdict(verification, "222222") is Verdict.APPROVED
        assert await opened.verdict(verification, "111111") is Verdict.USED
    assert await stores.pending() == [sid_of(verification), sid_of(verification, 2)]


async def test_an_approval_waits_no_longer_than_its_code_lives(stores):
    """A repeat after the end of the code is `expired`, as the verification reads."""
    verification = await stores.sent()
    async with waiting(stores, replicas=1) as late:
        stores.time_passes(CODE_TTL_MS - MINUTE_MS)
        await refused(late.check(verification, "111111"))
        await refused(late.check(verification, "111111"))
        stores.time_passes(MINUTE_MS)
        assert await late.verdict(verification, "111111") is Verdict.EXPIRED
    assert await status(stores, verification) is Status.EXPIRED


async def test_a_verification_that_is_canceled_while_its_approval_waits_stays_canceled(stores):
    """Who waits is told `canceled`."""
    verification = await stores.sent()
    async with waiting(stores, replicas=1) as late:
        await refused(late.check(verification, "111111"))
    await stores.verifications.cancel(verification.id)
    async with waiting(stores) as opened:
        verdict, record = await opened.verifications._tell(verification.id, "")
        shown = opened.verifications._records.read(verification.id, record)
        assert (verdict, shown.status) == (Verdict.CANCELED, Status.CANCELED)
        assert await opened.verdict(verification, "111111") is Verdict.CANCELED


async def test_an_approval_reads_as_pending_until_the_replicas_have_it(stores):
    """While a request waits to be told, nobody reads `approved`: neither in vain, nor before it is told."""
    verification = await stores.sent()
    read = []

    async def note(step):
        read.append((step, await status(stores, verification)))

    for late in (("tell",), ()):
        async with waiting(stores, late=late) as opened:
            opened.scripts.while_waiting = note
            check = opened.check(verification, "111111")
            await (refused(check) if late else check)
    assert read == [("tell", Status.PENDING)] * 2
    assert await status(stores, verification) is Status.APPROVED


async def test_an_approval_of_a_process_that_was_killed_reads_as_approved_later(stores):
    """It was told, but not shown: a repeat of its Idempotency-Key shows it, or time does; nobody else is told."""
    repeated, left = await stores.sent(), await stores.sent()
    async with waiting(stores) as opened:
        token = opened.scripts.fields.key("check", "k1")
        for verification in (repeated, left):
            await stores.under(waits_for_replicas=True).check(verification, "111111", idempotency_key="k1")
            await opened.verifications._wait("tell", verification.id, [token, "killed"])
            assert await status(stores, verification) is Status.PENDING
            assert await opened.verdict(verification, "111111") is Verdict.USED
        assert await opened.verdict(repeated, "111111", idempotency_key="k1") is Verdict.APPROVED
        assert await status(stores, repeated) is Status.APPROVED
        by, told_ms = stores.raw(left).get("told").rsplit("|", 1)
        stores.raw(left).set("told", f"{by}|{int(told_ms) - 2 * MINUTE_MS}")
        assert await status(stores, left) is Status.APPROVED


async def test_what_is_shown_is_not_taken_back_and_what_was_taken_back_is_not_shown(stores):
    """Of two requests with one key, the one that fails cannot undo what the other was told, nor be told with it."""
    shown, undone = await stores.sent(), await stores.sent()
    async with waiting(stores) as opened:
        run, show = opened.verifications._wait, opened.verifications._show
        token = opened.scripts.fields.key("check", "k1")
        for verification in (shown, undone):
            await stores.under(waits_for_replicas=True).check(verification, "111111", idempotency_key="k1")
            for each in ("first", "second"):
                await run("tell", verification.id, [token, each])
        await show(shown.id, [token, "first"])
        await opened.verifications._take_back(shown.id, [token, "second"])
        assert await status(stores, shown) is Status.APPROVED
        await opened.verifications._take_back(undone.id, [token, "second"])
        await refused(show(undone.id, [token, "first"]))
        assert await status(stores, undone) is Status.PENDING
        assert await opened.verdict(undone, "111111", idempotency_key="k1") is Verdict.APPROVED


async def test_only_the_request_that_has_an_approval_shows_it_or_takes_it_back(stores):
    """Another request's step changes nothing; what was never approved is neither told nor shown."""
    approved, guessed = await stores.sent(), await stores.sent()
    canceled, locked = await stores.sent(), await stores.sent()
    await stores.verifications.cancel(canceled.id)
    for _ in range(stores.policy.max_attempts):
        await stores.check(locked, "000000")
    async with waiting(stores) as opened:
        tell, show = opened.verifications._wait, opened.verifications._show
        await stores.under(waits_for_replicas=True).check(approved, "111111")
        await tell("tell", approved.id, ["", "first"])
        await refused(show(approved.id, ["", "second"]))
        await opened.verifications._take_back(approved.id, ["", "second"])
        assert await status(stores, approved) is Status.PENDING
        await show(approved.id, ["", "first"])
        assert await status(stores, approved) is Status.APPROVED
        await refused(show(guessed.id, ["", "first"]))
        for ended, verdict in ((canceled, Verdict.CANCELED), (locked, Verdict.LOCKED)):
            assert (await opened.verifications._tell(ended.id, ""))[0] is verdict


async def test_a_repeated_key_waits_too_and_is_told_only_if_nobody_else_was(stores):
    """A repeat of the Idempotency-Key is approved, as often as it comes, unless another request was told."""
    mine, lost = await stores.sent(), await stores.sent()
    keyed = {"idempotency_key": "k1"}
    async with waiting(stores, replicas=1) as late:
        for verification in (mine, lost):
            await refused(late.check(verification, "111111", **keyed))
            await refused(late.check(verification, "111111", **keyed))
    async with waiting(stores) as opened:
        assert await opened.verdict(lost, "111111") is Verdict.APPROVED
        assert await opened.verdict(lost, "111111", **keyed) is Verdict.USED
        for _ in range(2):
            assert await opened.verdict(mine, "111111", **keyed) is Verdict.APPROVED
        assert await opened.verdict(mine, "111111") is Verdict.USED
        assert await opened.verdict(mine, "111111", idempotency_key="k2") is Verdict.USED
    assert (await stores.read(mine)).attempts == 3


async def test_a_new_key_of_a_repeat_is_known_from_then_on(stores):
    """A code is repeated with a key of its own while its approval waits: that key is approved again later."""
    verification = await stores.sent()
    async with waiting(stores, replicas=1) as late:
        await refused(late.check(verification, "111111"))
    async with waiting(stores) as opened:
        for _ in range(2):
            assert await opened.verdict(verification, "111111", idempotency_key="k1") is Verdict.APPROVED
    assert (await stores.read(verification)).attempts == 1


async def test_a_send_is_counted_as_approved_once_however_often_its_code_is_repeated(stores):
    """The report and the metrics count the approval when the code is typed, not when the replicas have it."""
    verification = await stores.sent()

    async def converted():
        [row] = counted(stores).values()
        states = {state.rpartition(".")[2]: count for state, count in row.items() if ".c" in state}
        return states, await approvals(stores)

    for late in ({"replicas": 1}, {"late": ("tell",)}):
        async with waiting(stores, **late) as in_vain:
            await refused(in_vain.check(verification, "111111"))
            assert await converted() == ({"a": 1}, 1)
    async with waiting(stores) as opened:
        assert await opened.verdict(verification, "111111") is Verdict.APPROVED
        assert await opened.verdict(verification, "111111") is Verdict.USED
        assert await converted() == ({"a": 1}, 1)


async def test_a_guess_at_an_approval_that_waits_moves_no_counter_to_pending(stores):
    """Wrong codes, and a cancel, move the send from approved to what the record says then."""
    verification = await stores.sent()
    async with waiting(stores, replicas=1) as late:
        await refused(late.check(verification, "111111"))
        assert await late.verdict(verification, "000000") is Verdict.WRONG_CODE
        [row] = counted(stores).values()
        assert {state: count for state, count in row.items() if ".c" in state} == {"1q.c0.a": 1}
    await stores.verifications.cancel(verification.id)
    [row] = counted(stores).values()
    assert {state: count for state, count in row.items() if ".c" in state} == {"1q.c0.c": 1}


async def test_a_later_code_is_approved_and_counted(stores):
    """The code of a second message waits for the replicas like the first one, and is counted as that message's."""
    await stores.resend(verification := await stores.sent(), "222222")
    async with waiting(stores) as opened:
        assert await opened.verdict(verification, "222222") is Verdict.APPROVED
    assert {labels[-1]: set(row) & {"1q.-.a", "0u.c0.a"} for labels, row in counted(stores).items()} == {
        "1": {"1q.-.a"}, "2": {"0u.c0.a"},
    }  # fmt: skip


async def test_what_other_processes_decide_meanwhile_is_told(stores):
    """Once a process that does not wait has approved, nobody else is; guesses at it end no approval that waits."""
    used, guessed = await stores.sent(), await stores.sent()
    keyed = {"idempotency_key": "k1"}
    async with waiting(stores, replicas=1) as late:
        for verification in (used, guessed):
            await refused(late.check(verification, "111111", **keyed))
    await stores.check(used, "111111")
    for _ in range(4):
        await stores.check(guessed, "000000")
    async with waiting(stores) as opened:
        assert await opened.verdict(used, "111111", **keyed) is Verdict.USED
        assert await opened.verdict(guessed, "111111", **keyed) is Verdict.APPROVED
        assert await opened.verdict(guessed, "111111") is Verdict.USED


async def test_every_step_writes_before_the_replicas_are_waited_for(stores):
    """WAIT counts only the writes of its own connection: a look, and a `used`, write too, a key that soon expires."""
    async with waiting(stores) as opened:
        verification = await opened.sent()
        marker = redis_keys.replication_marker(partition_of(verification.id))
        await opened.verifications._look(verification.id, sends=1)
        assert 0 < stores.admin.pttl(marker) <= MINUTE_MS
        await stores.under(waits_for_replicas=True).check(verification, "111111")
        told = await opened.verifications._tell(verification.id, "")
        assert told == (Verdict.APPROVED, None), "an approval needs no record: check.lua has shown it"
        stores.admin.delete(marker)
        verdict, _ = await opened.verifications._wait("tell", verification.id, ["", "other"])
        assert verdict == b"used"
        assert 0 < stores.admin.pttl(marker) <= MINUTE_MS


async def test_an_approval_waits_for_itself_even_if_the_replicas_followed_a_moment_ago(stores):
    """The first of its two waits is left out; the replicas then lack the second, so nobody is told."""
    first, second = await stores.sent(), await stores.sent()
    async with waiting(stores) as opened:
        for verification in (first, second):
            opened.scripts.late = ("tell",) if verification is second else ()
            check = opened.check(verification, "111111")
            await (refused(check) if verification is second else check)
        opened.scripts.late = ()
        assert await status(stores, second) is Status.PENDING
        assert await opened.verdict(second, "111111") is Verdict.APPROVED


async def test_a_newer_format_is_left_alone(stores):
    """A record that a newer version has changed meanwhile is neither approved nor called replicated."""
    async with waiting(stores) as opened:
        verification = await opened.issue()
        stores.raw(verification).set("format", FORMAT_VERSION + 1)
        for step in (
            opened.verifications._look(verification.id, sends=1),
            opened.verifications._tell(verification.id, ""),
        ):
            with pytest.raises(StoreUnavailable) as failure:
                await step
            assert failure.value.cause is StoreCause.NEWER_FORMAT


async def test_whoever_was_not_told_in_time_leaves_the_approval_to_a_repeat(stores):
    """The step that gives an approval to a request is taken back if the replicas lack it. It is counted once."""
    verification = await stores.sent()
    async with waiting(stores, late=("tell",)) as late:
        await refused(late.check(verification, "111111"))
    assert await status(stores, verification) is Status.PENDING
    assert await approvals(stores) == 1
    async with waiting(stores) as opened:
        assert await opened.verdict(verification, "111111") is Verdict.APPROVED
        assert await opened.verdict(await stores.issue("222222", is_test=True), "222222") is Verdict.APPROVED
        resent = await stores.sent("333333")
        await stores.resend(resent, "444444")
        assert await opened.verdict(resent, "444444") is Verdict.APPROVED
    approved = {name: value for name, value in (await stores.stats.totals()).items() if name.startswith("approved")}
    assert approved == {"approved:US:sms:0": 2, "approved:US:sms": 1}  # a test number has no time


async def test_no_earlier_try_takes_back_what_a_repeat_was_told(stores):
    """A try that takes back late changes nothing once a repeat with the same key, or another request, was told."""
    keyed, other = await stores.sent(), await stores.sent()
    async with waiting(stores) as opened:
        run = opened.verifications._wait
        for verification, key in ((keyed, "k1"), (other, None)):
            await stores.under(waits_for_replicas=True).check(verification, "111111", idempotency_key=key)
            token = opened.scripts.fields.key("check", key) if key else ""
            await run("tell", verification.id, [token, "early"])
            for _ in range(0 if key else 2):  # the second one finds nothing to take back
                await opened.verifications._take_back(verification.id, [token, "early"])
            assert await opened.verdict(verification, "111111", idempotency_key=key) is Verdict.APPROVED
            await opened.verifications._take_back(verification.id, [token, "early"])
            assert await status(stores, verification) is Status.APPROVED
            assert await opened.verdict(verification, "111111") is Verdict.USED
    assert await approvals(stores) == 2


async def test_a_node_without_the_approval_counts_as_not_replicated(stores):
    """What a failover has lost is not told: neither an approval nor a send. The code can be checked again."""
    verification = await stores.sent()
    async with waiting(stores) as opened:
        await refused(opened.verifications._tell(verification.id, ""))
        await refused(opened.verifications._look(verification.id, sends=2))
        assert await opened.verdict(verification, "111111") is Verdict.APPROVED
        stores.admin.flushall()
        await refused(opened.verifications._look(verification.id, sends=1))


@pytest.mark.parametrize("action", [Action.LINK, Action.REPLY, Action.CALL])
async def test_where_no_caller_repeats_the_service_does(stores, action):
    """A link, a reply or a call is refused, and approved in the background once the replicas have it."""
    url, stores = stores.url, stores.under(action=action)
    stores.url = url
    verification = await stores.sent("111111")
    async with waiting(stores) as opened:
        opened.scripts.late = ("marker",)
        await refused(opened.check(verification, "111111", idempotency_key="a message"))
        assert (await status(stores, verification), opened.retries.waiting) == (Status.PENDING, 1)
        opened.scripts.late = ()
        await opened.retries.idle()
        assert await status(stores, verification) is Status.APPROVED
        assert await opened.verdict(verification, "111111", idempotency_key="a message") is Verdict.APPROVED


async def test_the_log_names_an_approval_that_is_given_up(stores, monkeypatch):
    """If the replicas do not follow for a minute, the service stops repeating, and says of which verification."""
    monkeypatch.setattr(replication, "_REPEATED_FOR_SECONDS", 0.05)
    url, stores = stores.url, stores.under(action=Action.REPLY)
    stores.url = url
    verification, events = await stores.sent(), []
    async with waiting(stores, late=("marker",)) as late:
        late.verifications._event_log = lambda event, **fields: events.append((event, fields["verification_id"]))
        await refused(late.check(verification, "111111"))
        await late.retries.idle()
    assert events == [("approval_not_replicated", verification.id)]
    assert await status(stores, verification) is Status.PENDING


async def test_a_code_is_not_approved_in_the_background(stores):
    """Whoever typed a code must be told, so an approval of a code waits for a repeat."""
    verification = await stores.sent()
    async with waiting(stores, late=("marker",)) as late:
        await refused(late.check(verification, "111111"))
        assert late.retries.waiting == 0


async def test_an_issue_is_told_only_if_it_is_replicated(stores):
    """Issues and resends that the replicas lack are refused; without OTP_WAIT_ISSUES they are not waited for."""
    async with waiting(stores, replicas=1, waits_for_issues=True) as late, waiting(stores, replicas=1) as hasty:
        await refused(late.issue())
        verification = await hasty.issue()
        await refused(late.resend(verification, "222222"))
        await hasty.resend(verification, "333333")
    async with waiting(stores, waits_for_issues=True) as opened:
        sent = await opened.resend(await opened.issue(), "222222")
        assert len(sent.sends) == 2


async def test_a_next_channel_is_not_waited_for(stores):
    """Nobody is told of it, and what is claimed must not be lost because a replica is down."""
    issued = await stores.issue("000000", **THREE)
    stores.time_passes(MINUTE_MS)
    async with waiting(stores, replicas=1, waits_for_issues=True) as late:
        sent = await follow(late, await claim(late, issued), "111111")
        assert len(sent.sends) == 2


async def test_a_process_that_does_not_wait_approves_what_waits(stores):
    """Where the setting was turned off, the code is approved as ever, once."""
    verification = await stores.sent()
    async with waiting(stores, replicas=1) as late:
        await refused(late.check(verification, "111111"))
    assert await stores.verdict(verification, "111111") is Verdict.APPROVED
    assert await stores.verdict(verification, "111111") is Verdict.USED


async def test_what_a_process_that_does_not_wait_has_told_stays_so(stores):
    """While the setting is being turned on, a repeated Idempotency-Key has its verdict again."""
    verification = await stores.sent()
    assert await stores.verdict(verification, "111111", idempotency_key="k1") is Verdict.APPROVED
    async with waiting(stores) as opened:
        assert await opened.verdict(verification, "111111", idempotency_key="k1") is Verdict.APPROVED
        assert await opened.verdict(verification, "111111") is Verdict.USED


async def test_the_state_is_that_of_the_last_minute(stores, monkeypatch):
    """It names why a wait failed, and for no longer than a minute, also if nobody waits meanwhile."""
    async with waiting(stores, replicas=1) as late:
        assert late.verifications.state == "ok"
        await refused(late.check(await stores.sent(), "111111"))
        assert late.verifications.state == "waits failed within the last minute: not_replicated"
        monkeypatch.setattr("service.store.replication._WINDOW_SECONDS", 0)
        assert late.verifications.state == "ok"


async def test_the_longest_wait_is_known(stores):
    """The time that a wait took, also one in vain, is kept for the metrics."""
    async with waiting(stores, replicas=1) as late:
        assert late.verifications.longest_seconds == 0
        await refused(late.verifications._look((await late.issue()).id, sends=1))
        assert late.verifications.longest_seconds >= WAIT_MS / 1000
