"""The next channel of a list in Redis: when it is due, who may send by it, and what ends it."""

import asyncio

import pytest

from service.core.channels import CHANNELS, Channel, Step
from service.core.keyring import Keyring
from service.core.limits import Limited, Limits
from service.core.verification import Delivery, Status, partition_of
from service.core.verification_store import (
    AlreadySent,
    NotPending,
    Overtaken,
    SendsExhausted,
    UnknownVerification,
    WrittenSend,
)
from service.store import keys as redis_keys
from service.store.fallbacks import RedisFallbacks
from service.store.fields import FORMAT_VERSION
from tests.store.engines import CODE_TTL_MS, INDEX_KEY, MINUTE_MS, NEW_SECRET, NUMBER, open_stores

SECOND_MS = 1000
LEASE_MS = 30_000
THREE = {
    "channel": Channel.WHATSAPP,
    "wait_seconds": 30,
    "further": (Step(Channel.SMS, 40), Step(Channel.VOICE, 50)),
}


def fallbacks(stores):
    """Return the fallbacks of these stores."""
    return RedisFallbacks(stores.scripts, stores.keyring, stores.policy)


async def claim(stores, verification):
    """Claim what is due in the partition of a verification."""
    return await fallbacks(stores).claim(partition_of(verification.id))


async def claimed(stores):
    """Issue a verification with a list, and claim its next channel after the wait; return both."""
    issued = await stores.issue("000000", **THREE)
    stores.time_passes(30 * SECOND_MS)
    return issued, await claim(stores, issued)


async def follow(stores, due, code):
    """Write the send of a claimed fallback."""
    digests = stores.digests(due.verification.id, code)
    return await stores.verifications.resend(due.verification, digests, due.channel, due=due)


async def refuse(stores, verification, send, **more):
    """Take a send back that the provider refused."""
    options = {"error_code": 63024, "passing": False, "may_follow": True} | more
    return await stores.verifications.refuse(verification, send, **options)


def channels(verification):
    """List the channels of the sends."""
    return [send.channel for send in verification.sends]


async def test_each_channel_follows_after_the_wait_of_the_one_before(stores):
    """Nothing is due before the wait of the newest send is over; then its next channel is, and after that the last."""
    issued = await stores.issue("000000", **THREE)
    stores.time_passes(29 * SECOND_MS)
    assert await claim(stores, issued) is None
    stores.time_passes(SECOND_MS)
    due = await claim(stores, issued)
    assert (due.verification.id, due.verification.to, due.channel) == (issued.id, NUMBER, Channel.SMS)
    await follow(stores, due, "111111")
    stores.time_passes(39 * SECOND_MS)
    assert await claim(stores, issued) is None
    stores.time_passes(SECOND_MS)
    due = await claim(stores, issued)
    sent = await follow(stores, due, "222222")
    assert channels(sent) == [Channel.WHATSAPP, Channel.SMS, Channel.VOICE]
    stores.time_passes(9 * 60 * SECOND_MS)
    assert await claim(stores, issued) is None
    assert not stores.admin.exists(redis_keys.fallbacks(partition_of(issued.id)))
    totals = await stores.stats.totals()
    assert (totals["fallback:US:sms"], totals["fallback:US:voice"], totals["resent:US:sms"]) == (1, 1, 0)


async def test_a_claim_tells_what_a_resend_is_counted_under(stores):
    """What is claimed has the tags under which limits count it, and what is left of the list."""
    tags = {"client_tag": "t" * 22, "key_tag": "k" * 22}
    issued = await stores.issue("000000", **THREE, **tags)
    stores.time_passes(30 * SECOND_MS)
    due = await claim(stores, issued)
    assert {name: getattr(due.verification, name) for name in tags} == tags
    assert due.verification.further == due.further == (await stores.read(issued)).further == issued.further


async def test_a_claim_is_leased(stores):
    """While one process has claimed a verification, no other one does; after the lease another one does."""
    issued = await stores.issue("000000", **THREE)
    stores.time_passes(30 * SECOND_MS)
    assert await claim(stores, issued)
    stores.time_passes(LEASE_MS - SECOND_MS)
    assert await claim(stores, issued) is None
    stores.time_passes(SECOND_MS)
    assert (await claim(stores, issued)).channel is Channel.SMS


async def test_a_process_whose_lease_has_ended_sends_nothing(stores):
    """Of two processes that claimed one after the other, only the second writes a send: none is doubled."""
    issued, slow = await claimed(stores)
    stores.time_passes(LEASE_MS)
    quick = await claim(stores, issued)
    with pytest.raises(Overtaken):
        await follow(stores, slow._replace(claimed_until_ms=slow.claimed_until_ms - LEASE_MS), "111111")
    await follow(stores, quick, "222222")
    for late in (slow, quick):
        with pytest.raises(Overtaken):
            await follow(stores, late, "333333")
    assert channels(await stores.read(issued)) == [Channel.WHATSAPP, Channel.SMS]


async def test_racing_processes_write_one_send(engine, stores):
    """Of twenty claims and sends at once, through two connections, one send is written for each channel."""
    issued = await stores.issue("000000", **THREE)
    stores.time_passes(30 * SECOND_MS)
    async with open_stores(engine) as other:

        async def one(number):
            due = await claim(stores if number % 2 else other, issued)
            return due and await follow(stores if number % 3 else other, due, f"1111{number:02d}")

        sent = [each for each in await asyncio.gather(*map(one, range(20))) if each]
    assert len(sent) == 1
    assert channels(await stores.read(issued)) == [Channel.WHATSAPP, Channel.SMS]


async def test_a_failure_makes_the_next_channel_due_at_once(stores):
    """A newest message that failed or was not delivered is followed at once; a repeated report adds none."""
    for number, status in enumerate((Delivery.FAILED, Delivery.UNDELIVERED, Delivery.CANCELED)):
        issued = await stores.issue("000000", to=f"+1415555010{number}", **THREE)
        await stores.deliver(issued, status=status, error_code=63024)
        due = await claim(stores, issued)
        assert due.channel is Channel.SMS
        await follow(stores, due, "111111")
        await stores.deliver(issued, status=status, error_code=63024)
        assert await claim(stores, issued) is None


async def test_a_failure_of_an_earlier_message_changes_nothing(stores):
    """When the next channel has followed already, the failure of the message before it is no reason for another."""
    issued = await stores.issue("000000", **THREE)
    stores.time_passes(30 * SECOND_MS)
    await follow(stores, await claim(stores, issued), "111111")
    await stores.deliver(issued, status=Delivery.UNDELIVERED)
    assert await claim(stores, issued) is None
    await stores.deliver(issued, 2, status=Delivery.UNDELIVERED)
    assert (await claim(stores, issued)).channel is Channel.VOICE


async def test_a_failure_during_a_lease_is_sent_once(stores):
    """When silence and failure come at once, one of the two claims writes a send."""
    issued, silent = await claimed(stores)
    await stores.deliver(issued, status=Delivery.FAILED)
    failed = await claim(stores, issued)
    writes = (follow(stores, due, code) for due, code in ((silent, "111111"), (failed, "222222")))
    written = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(each) for each in written].count(Overtaken) == 1
    assert channels(await stores.read(issued)) == [Channel.WHATSAPP, Channel.SMS]


@pytest.mark.parametrize("status", [Delivery.DELIVERED, Delivery.READ])
async def test_a_message_that_arrived_ends_the_waiting(stores, status):
    """When the newest message was delivered or read, nothing follows; what was only sent is not news."""
    issued = await stores.issue("000000", **THREE)
    await stores.deliver(issued, status=Delivery.SENT)
    await stores.deliver(issued, status=status)
    stores.time_passes(5 * 60 * SECOND_MS)
    assert await claim(stores, issued) is None
    other = await stores.issue("000000", to="+14155550199", **THREE)
    await stores.deliver(other, status=Delivery.SENT)
    stores.time_passes(30 * SECOND_MS)
    assert await claim(stores, other)


async def test_a_failure_that_may_not_be_followed_ends_the_list(stores):
    """A failure for which no other channel may follow ends the waiting too."""
    issued = await stores.issue("000000", **THREE)
    await stores.deliver(issued, status=Delivery.FAILED, error_code=30450, may_follow=False)
    stores.time_passes(5 * 60 * SECOND_MS)
    assert await claim(stores, issued) is None


async def _approve(stores, issued):
    await stores.check(issued, "000000")


async def _approve_unreplicated(stores, issued):
    await stores.under(waits_for_replicas=True).check(issued, "000000")


async def _cancel(stores, issued):
    await stores.verifications.cancel(issued.id)


async def _lock(stores, issued):
    for _ in range(5):
        await stores.check(issued, "999999")


async def _expire(stores, issued):
    stores.time_passes(CODE_TTL_MS)


async def _forget(stores, issued):
    stores.admin.delete(redis_keys.verification(issued.id))


ENDS = [_approve, _approve_unreplicated, _cancel, _lock, _expire, _forget]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__[1:])
async def test_nothing_follows_a_verification_that_has_ended(stores, end):
    """After approval, cancellation, the last attempt, the end of the code or of the record nothing is claimed."""
    issued = await stores.issue("000000", **THREE)
    await end(stores, issued)
    stores.time_passes(30 * SECOND_MS)
    assert await claim(stores, issued) is None
    assert not stores.admin.exists(redis_keys.fallbacks(partition_of(issued.id)))


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__[1:])
async def test_an_end_between_claim_and_send_is_kept(stores, end):
    """When a verification ends after the claim, in the last moment, its next send is not written."""
    issued, due = await claimed(stores)
    await end(stores, issued)
    with pytest.raises((NotPending, UnknownVerification)):
        await follow(stores, due, "111111")


async def test_a_refused_message_is_followed_at_once(stores):
    """A first message that was refused leaves the verification pending and the next channel due; its code is dead."""
    issued = await stores.issue("000000", **THREE)
    refused = await refuse(stores, issued, 1)
    assert (refused.status, refused.is_followed) == (Status.PENDING, True)
    assert [(send.status, send.error_code) for send in refused.sends] == [(Delivery.FAILED, 63024)]
    due = await claim(stores, issued)
    sent = await follow(stores, due, "111111")
    assert channels(sent) == [Channel.WHATSAPP, Channel.SMS]
    assert (await stores.check(issued, "000000")).valid is False
    assert (await stores.check(issued, "111111")).valid is True


async def test_a_refused_message_prolongs_nothing(stores):
    """A refused message does not count for the end of a verification: nothing follows after its newest code."""
    issued = await stores.issue("000000", **THREE)
    stores.time_passes(CODE_TTL_MS - MINUTE_MS)
    await stores.resend(issued, "111111", Channel.WHATSAPP)
    assert (await refuse(stores, issued, 2)).is_followed
    stores.time_passes(2 * MINUTE_MS)
    assert await claim(stores, issued) is None


async def test_only_the_newest_message_is_followed_when_it_is_refused(stores):
    """The refusal of an earlier message, or after the end, lets nothing follow."""
    issued = await stores.issue("000000", **THREE)
    await stores.resend(issued, "111111", Channel.WHATSAPP)
    assert not (await refuse(stores, issued, 1)).is_followed
    stores.time_passes(30 * SECOND_MS)
    assert await claim(stores, issued), "the newest one waits as before"
    canceled = await stores.issue("000000", to="+14155550199", **THREE)
    await stores.verifications.cancel(canceled.id)
    assert not (await refuse(stores, canceled, 1)).is_followed


async def test_a_refusal_that_may_not_be_followed_ends_the_list(stores):
    """After a refusal that forbids other channels nothing follows, though an earlier code is still valid."""
    issued = await stores.issue("000000", **THREE)
    await stores.resend(issued, "111111", Channel.WHATSAPP)
    refused = await refuse(stores, issued, 2, may_follow=False)
    assert (refused.status, refused.is_followed) == (Status.PENDING, False)
    stores.time_passes(5 * MINUTE_MS)
    assert await claim(stores, issued) is None


async def test_a_busy_provider_that_is_followed_leaves_a_trace(stores):
    """A message that the provider was too busy for stays as failed when the next channel follows; a repeat is known."""
    issued = await stores.issue("000000", **THREE)
    asked = {"channel": Channel.WHATSAPP, "idempotency_tag": "k" * 22}
    await stores.verifications.resend(issued, stores.digests(issued.id, "111111"), **asked)
    refused = await refuse(stores, issued, 2, error_code=None, passing=True)
    assert (refused.is_followed, [send.status for send in refused.sends][1]) == (True, Delivery.FAILED)
    with pytest.raises(AlreadySent):
        await stores.verifications.resend(issued, stores.digests(issued.id, "222222"), **asked)


async def test_a_repeated_failure_ends_no_lease(stores):
    """A failure that is reported again while the next channel is claimed lets no other process claim it."""
    issued = await stores.issue("000000", **THREE)
    await stores.deliver(issued, status=Delivery.FAILED)
    assert await claim(stores, issued)
    await stores.deliver(issued, status=Delivery.FAILED)
    assert await claim(stores, issued) is None


async def test_when_all_are_refused_the_verification_fails(stores):
    """The refusal of the last channel fails a verification of which nothing was sent."""
    issued = await stores.issue("000000", **THREE)
    statuses = []
    for code in ("111111", "222222", None):
        verification = await stores.read(issued)
        refused = await refuse(stores, verification, len(verification.sends))
        statuses.append((refused.status, refused.is_followed))
        if code is not None:
            await follow(stores, await claim(stores, issued), code)
    assert statuses == [(Status.PENDING, True), (Status.PENDING, True), (Status.FAILED, False)]
    assert await claim(stores, issued) is None


@pytest.mark.parametrize("first_is_refused", [False, True])
async def test_a_busy_provider_is_tried_again_by_the_same_channel(stores, first_is_refused):
    """A next send that was certainly not sent leaves no trace, and its channel is due again ten seconds later."""
    issued = await stores.issue("000000", **THREE)
    if first_is_refused:
        await refuse(stores, issued, 1)
    else:
        stores.time_passes(30 * SECOND_MS)
    due = await claim(stores, issued)
    sent = await follow(stores, due, "111111")
    refused = await refuse(stores, sent, 2, error_code=None, passing=True, may_follow=False, due=due)
    assert (refused.status, refused.is_followed, len(refused.sends)) == (Status.PENDING, False, 1)
    assert await claim(stores, issued) is None
    stores.time_passes(10 * SECOND_MS)
    again = await claim(stores, issued)
    assert (again.channel, again.further) == (due.channel, due.further)
    sent = await follow(stores, again, "222222")
    assert channels(sent) == [Channel.WHATSAPP, Channel.SMS]


async def test_a_next_message_that_is_refused_is_not_tried_again(stores):
    """A next send that was refused keeps its trace; if no channel may follow, nothing is due any more."""
    issued, due = await claimed(stores)
    sent = await follow(stores, due, "111111")
    refused = await refuse(stores, sent, 2, may_follow=False, due=due)
    assert (refused.status, [send.status for send in refused.sends][1]) == (Status.PENDING, Delivery.FAILED)
    stores.time_passes(40 * SECOND_MS)
    assert await claim(stores, issued) is None


async def test_a_busy_provider_is_not_tried_again_for_an_older_message(stores):
    """A next send that was not sent is left as it is if somebody has asked for a later one meanwhile."""
    issued, due = await claimed(stores)
    sent = await follow(stores, due, "111111")
    await stores.resend(issued, "222222", Channel.WHATSAPP)
    refused = await refuse(stores, sent, 2, error_code=None, passing=True, due=due)
    assert ([send.status for send in refused.sends][1], refused.is_followed) == (Delivery.FAILED, False)
    stores.time_passes(20 * SECOND_MS)
    assert await claim(stores, issued) is None


async def test_a_send_that_was_never_handed_over_is_given_back(stores):
    """When a process takes back the send of a fallback by its code, the channel is due again too."""
    issued, due = await claimed(stores)
    await follow(stores, due, "111111")
    digest = stores.digests(issued.id, "111111")[0]
    await stores.verifications.take_back(WrittenSend(issued.id, issued.number_tag, digest, 1, due))
    stores.time_passes(10 * SECOND_MS)
    assert (await claim(stores, issued)).further == due.further
    assert (await stores.verdict(issued, "111111")) == "wrong_code"


async def test_a_busy_provider_ends_no_list_of_another_request(stores):
    """A resend that somebody asked for, and that was not sent, changes nothing of when the next channel follows."""
    issued = await stores.issue("000000", **THREE)
    sent = await stores.resend(issued, "111111", Channel.WHATSAPP)
    await refuse(stores, sent, 2, error_code=None, passing=True, may_follow=False)
    stores.time_passes(30 * SECOND_MS)
    assert (await claim(stores, issued)).channel is Channel.SMS


async def test_what_somebody_asks_for_begins_the_wait_anew(stores):
    """A resend takes its channel from the list, and the next one follows after that channel's own wait."""
    issued = await stores.issue("000000", **THREE)
    stores.time_passes(20 * SECOND_MS)
    await stores.resend(issued, "111111", Channel.SMS)
    stores.time_passes(39 * SECOND_MS)
    assert await claim(stores, issued) is None
    stores.time_passes(SECOND_MS)
    assert (await claim(stores, issued)).channel is Channel.VOICE


@pytest.mark.parametrize(
    ("channel", "wait_seconds"),
    [(Channel.WHATSAPP, 12), (Channel.VOICE, CHANNELS[Channel.VOICE].wait_seconds)],
    ids=["the same channel again", "one that is not listed"],
)
async def test_a_resend_outside_the_list_waits_for_its_own_channel(stores, channel, wait_seconds):
    """A resend by the same channel has the wait that the list gave it; by one that is not listed, its default."""
    further = (Step(Channel.SMS, 40),)
    issued = await stores.issue("000000", channel=Channel.WHATSAPP, wait_seconds=12, further=further)
    await stores.resend(issued, "111111", channel)
    stores.time_passes((wait_seconds - 1) * SECOND_MS)
    assert await claim(stores, issued) is None
    stores.time_passes(SECOND_MS)
    assert (await claim(stores, issued)).channel is Channel.SMS


@pytest.mark.parametrize(
    ("channel", "wait_seconds"),
    [(Channel.SMS, 40), (Channel.WHATSAPP, CHANNELS[Channel.WHATSAPP].wait_seconds)],
    ids=["the newest again", "the first again"],
)
async def test_a_resend_after_a_fallback_compares_with_the_newest_message(stores, channel, wait_seconds):
    """A resend by the channel that has followed keeps its wait; one by an earlier channel has the default."""
    issued, due = await claimed(stores)
    sent = await follow(stores, due, "111111")
    await stores.resend(sent, "222222", channel)
    stores.time_passes((wait_seconds - 1) * SECOND_MS)
    assert await claim(stores, issued) is None
    stores.time_passes(SECOND_MS)
    assert (await claim(stores, issued)).channel is Channel.VOICE


async def test_a_resend_during_a_lease_overtakes_it(stores):
    """When somebody asks for a message while the next channel is claimed, the claim writes nothing."""
    issued, due = await claimed(stores)
    await stores.resend(issued, "111111", Channel.WHATSAPP)
    # Even if the next channel happens to be due in the instant in which the lease ends.
    stores.admin.zadd(redis_keys.fallbacks(partition_of(issued.id)), {issued.id: due.claimed_until_ms})
    with pytest.raises(Overtaken):
        await follow(stores, due, "222222")


async def test_the_last_channel_that_is_asked_for_leaves_nothing_to_follow(stores):
    """When a resend takes the last channel from the list, nothing follows."""
    issued = await stores.issue("000000", channel=Channel.SMS, wait_seconds=30, further=(Step(Channel.VOICE, 30),))
    await stores.resend(issued, "111111", Channel.VOICE)
    assert not stores.admin.exists(redis_keys.fallbacks(partition_of(issued.id)))


async def test_limits_leave_the_verification_as_it_was(stores):
    """A limit of the number refuses the next send with a wait, and changes nothing; it may be sent afterwards."""
    stores = stores.under(number=Limits(((1, 45 * SECOND_MS),)))
    issued, due = await claimed(stores)
    before = stores.record(issued)
    with pytest.raises(Limited) as limited:
        await follow(stores, due, "111111")
    assert 14 * SECOND_MS < limited.value.retry_after_ms <= 15 * SECOND_MS
    await fallbacks(stores).postpone(due, limited.value.retry_after_ms)
    assert stores.record(issued) == before
    assert await claim(stores, issued) is None
    stores.time_passes(15 * SECOND_MS)
    await follow(stores, await claim(stores, issued), "111111")


async def test_only_what_is_still_claimed_is_postponed(stores):
    """A process whose claim has passed to another one does not put that off."""
    issued, slow = await claimed(stores)
    await stores.deliver(issued, status=Delivery.FAILED)
    await fallbacks(stores).postpone(slow, 60 * SECOND_MS)
    assert await claim(stores, issued)


async def test_the_most_sends_hold(stores):
    """A verification that has had all its sends gets none by the next channel, and is not claimed again."""
    issued, due = await claimed(stores)
    one = stores.under(max_sends=1)
    with pytest.raises(SendsExhausted):
        await follow(one, due, "111111")
    stores.time_passes(LEASE_MS)
    assert await claim(one, issued) is None
    assert not stores.admin.exists(redis_keys.fallbacks(partition_of(issued.id)))


async def test_only_a_process_that_has_the_key_claims(stores):
    """A verification whose number no key of a process opens is left to another process, which has the key."""
    issued = await stores.issue("000000", **THREE)
    stores.time_passes(30 * SECOND_MS)
    without = stores.under(Keyring([NEW_SECRET], INDEX_KEY))
    assert await claim(without, issued) is None
    stores.time_passes(LEASE_MS)
    assert await claim(stores, issued)


async def test_a_message_of_the_future_is_not_followed(stores):
    """When Redis' clock has stepped back, the age of the newest code is unknown, so it has ended: nothing follows."""
    issued = await stores.issue("000000", **THREE)
    stores.time_passes(-MINUTE_MS)
    stores.admin.zadd(redis_keys.fallbacks(partition_of(issued.id)), {issued.id: 1})
    assert await claim(stores, issued) is None


async def test_a_record_of_a_newer_format_is_left_alone(stores):
    """What a newer version has written is claimed by a process of that version only."""
    issued = await stores.issue("000000", **THREE)
    field, version = stores.scripts.fields.key("format"), FORMAT_VERSION
    stores.time_passes(30 * SECOND_MS)
    stores.admin.hset(redis_keys.verification(issued.id), field, version + 1)
    assert await claim(stores, issued) is None
    stores.time_passes(LEASE_MS)
    stores.admin.hset(redis_keys.verification(issued.id), field, version)
    assert await claim(stores, issued)


async def test_the_due_times_live_as_long_as_their_records(stores):
    """A verification with a short life does not shorten how long the due times of its partition are kept."""
    long = await stores.issue("000000", **THREE)
    await stores.under(late_window_seconds=0).issue("000000", ttl_seconds=60, **THREE)
    left = [stores.admin.pttl(key) for key in (redis_keys.fallbacks(partition_of(long.id)), stores.raw(long).key)]
    assert left[0] > left[1] - SECOND_MS


async def test_stale_entries_are_skipped(stores):
    """Entries without a record or a list are removed, and the one behind them is found; no record is created."""
    issued, unlisted = await stores.issue("000000", **THREE), await stores.issue("000000")
    key = redis_keys.fallbacks(partition_of(issued.id))
    stores.admin.zadd(key, {f"ve_{issued.id[3]}{number:031d}": number + 1 for number in range(18)})
    stores.admin.zadd(key, {unlisted.id: 100})
    before = stores.admin.dbsize()
    stores.time_passes(30 * SECOND_MS)
    assert (await claim(stores, issued)).verification.id == issued.id
    assert (stores.admin.zcard(key), stores.admin.dbsize()) == (1, before)


async def test_a_single_channel_is_no_list(stores):
    """A verification without a list has nothing that follows, also when it is refused, and no bytes for it."""
    issued = await stores.issue("000000", channel=Channel.SMS)
    assert (issued.further, (await stores.read(issued)).further) == (None, None)
    stores.time_passes(5 * 60 * SECOND_MS)
    assert await claim(stores, issued) is None
    refused = await refuse(stores, issued, 1)
    assert (refused.status, refused.is_followed) == (Status.FAILED, False)
