"""Issuing, resending, delivering, taking back and ending in Redis, on every engine."""

import time

import pytest

from service.core.channels import Channel
from service.core.keyring import Keyring
from service.core.limits import Limited, Limits
from service.core.store_health import StoreUnavailable
from service.core.verification import Delivery, Feedback, Status, Verdict
from service.core.verification_store import (
    AlreadySent,
    IdTaken,
    NotPending,
    SameCode,
    SendsExhausted,
    UnknownVerification,
    WrittenSend,
)
from service.store import keys as redis_keys
from tests.records import undated
from tests.store.engines import CODE_TTL_MS, FORGOTTEN_MS, INDEX_KEY, MINUTE_MS, NEW_SECRET, NUMBER, ROTATED, sid_of

STRANGER = "SM" + "f" * 32


EVERYTHING = {
    "locale": "de", "reference": "order 7", "web_origin": "example.com", "code_length": 8, "purpose": "payment",
    "client_tag": "t" * 22, "key_tag": "k" * 22, "owner": "o" * 12, "is_test": True, "ttl_seconds": 30,
}  # fmt: skip


@pytest.mark.parametrize(
    "asked", [{}, EVERYTHING, {"app_hash": "FA+9qCX9VSu"}, {"key_tag": "k" * 22}], ids=["nothing", "all", "app", "key"]
)
async def test_an_issued_verification_is_read_back(stores, asked):
    """Reading a verification returns the result of its issue, with every field as it was written."""
    new = stores.new(**asked)
    issued = await stores.verifications.issue(new, b"d" * 16)
    assert undated(issued) == undated(await stores.verifications.read(new.id))
    fields = issued._asdict() | {"channel": issued.channel}
    unread = ("owner", "wait_seconds", "further")  # test_fallbacks.py reads the list
    assert {name: fields[name] for name in new._fields if name not in unread}.items() <= new._asdict().items()
    assert (issued.status, issued.attempts, len(issued.sends)) == (Status.PENDING, 0, 1)
    assert issued.expires_at_ms == issued.created_at_ms + new.request.ttl_seconds * 1000


async def test_a_key_of_another_owner_neither_reads_nor_cancels(stores):
    """For another owner a verification is unknown to reading and canceling, and stays pending."""
    verification = await stores.sent("111111", owner="a" * 12)
    for step in (stores.verifications.read, stores.verifications.cancel):
        with pytest.raises(UnknownVerification):
            await step(verification.id, owner="b" * 12)
    assert (await stores.verifications.read(verification.id, owner="a" * 12)).status is Status.PENDING
    assert (await stores.verifications.cancel(verification.id, owner="a" * 12)).status is Status.CANCELED


async def test_redis_holds_no_number_and_no_code(stores):
    """Neither the number nor a code appears anywhere in Redis, including key names (promise 8)."""
    verification = await stores.sent("471193")
    await stores.resend(verification, "582204")
    await stores.check(verification, "582204", to=NUMBER)
    for key in stores.admin.scan_iter():
        content = key + stores.admin.dump(key)
        assert [word for word in (NUMBER[1:], NUMBER[2:], "471193", "582204") if word.encode() in content] == []


async def test_an_id_is_never_taken_twice(stores):
    """A second verification with the same id is refused, and the first one stays."""
    new = stores.new()
    await stores.verifications.issue(new, stores.keyring.code_digests(new.id, "111111")[0])
    with pytest.raises(IdTaken):
        await stores.verifications.issue(new, b"x" * 16)
    assert await stores.verdict(new, "111111") is Verdict.APPROVED


async def test_a_number_sealed_under_a_forgotten_key_is_not_readable(stores):
    """A record whose key is no longer listed is unavailable, never empty; with the key it is readable again."""
    verification = await stores.sent("111111")
    without = stores.under(Keyring([NEW_SECRET], INDEX_KEY))
    for step in (without.read(verification), without.check(verification, "111111")):
        with pytest.raises(StoreUnavailable):
            await step
    standing = await stores.under(ROTATED).read(verification)
    assert (standing.to, standing.attempts) == (NUMBER, 0)


async def test_time_is_that_of_redis(stores, monkeypatch):
    """An application host whose clock is an hour off changes no instant and no TTL (promise 11)."""
    monkeypatch.setattr(time, "time", lambda: 0.0)
    before = stores.admin.time()
    verification = await stores.sent("111111")
    after = stores.admin.time()
    assert before[0] * 1000 <= verification.created_at_ms <= after[0] * 1000 + 1000
    assert await stores.verdict(verification, "111111") is Verdict.APPROVED


async def test_a_resend_adds_a_send_and_extends_the_life(stores):
    """A resend has its own number, instant and expiry; the attempts keep counting."""
    verification = await stores.sent("111111")
    await stores.check(verification, "000000")
    stores.time_passes(CODE_TTL_MS // 2)
    resent = await stores.resend(verification, "222222")
    assert [send.number for send in resent.sends] == [1, 2]
    assert (resent.attempts, resent.status) == (1, Status.PENDING)
    assert resent.sends[1].sent_at_ms >= resent.sends[0].sent_at_ms + CODE_TTL_MS // 2
    assert resent.expires_at_ms == resent.sends[1].sent_at_ms + CODE_TTL_MS
    assert (await stores.stats.totals())["resent:US:sms"] == 1
    stores.time_passes(FORGOTTEN_MS - CODE_TTL_MS // 4)
    assert (await stores.read(verification)).status is Status.EXPIRED


async def test_no_two_sends_carry_the_same_code(stores):
    """A code of an earlier send is refused, whether it was written under the newest key or an older one."""
    verification = await stores.sent("111111")
    stores = stores.under(ROTATED)
    await stores.resend(verification, "222222")
    for code in ("111111", "222222"):
        with pytest.raises(SameCode):
            await stores.resend(verification, code)
    assert len((await stores.read(verification)).sends) == 2


async def test_the_sends_of_a_verification_are_limited(stores):
    """After the maximum number of sends no further one is written."""
    stores = stores.under(max_sends=2)
    verification = await stores.sent("111111")
    await stores.resend(verification, "222222")
    with pytest.raises(SendsExhausted):
        await stores.resend(verification, "333333")
    assert len((await stores.read(verification)).sends) == 2


@pytest.mark.parametrize("end", ["approved", "canceled", "max_attempts_reached", "expired", "failed"])
async def test_an_ended_verification_gets_no_further_send(stores, end):
    """An ended verification refuses a resend, reports its status, and keeps it."""
    verification = await stores.issue("111111")
    if end == "approved":
        await stores.check(verification, "111111")
    elif end == "canceled":
        await stores.verifications.cancel(verification.id)
    elif end == "max_attempts_reached":
        for _ in range(5):
            await stores.check(verification, "000000")
    elif end == "expired":
        stores.time_passes(CODE_TTL_MS)
    else:
        await stores.verifications.refuse(verification, 1, error_code=21211, passing=False)
    with pytest.raises(NotPending) as ended:
        await stores.resend(verification, "222222")
    assert ended.value.verification.status == end
    assert (await stores.verifications.cancel(verification.id)).status == end


@pytest.mark.parametrize("send", [1, 2])
async def test_a_code_typed_before_its_sid_waits_for_it(stores, send):
    """The confirmation of a send without SID waits, and becomes pending once, when the SID is delivered."""
    verification = await stores.issue("111111")
    await stores.resend(verification, "222222")
    result = await stores.check(verification, f"{send}" * 6)
    assert (result.verdict, result.enqueued) == (Verdict.APPROVED, False)
    assert (await stores.feedback(verification))[send - 1] is Feedback.AWAITING_SID
    assert await stores.pending() == []
    assert await stores.deliver(verification, send, status=Delivery.DELIVERED) is True
    assert await stores.deliver(verification, send, status=Delivery.DELIVERED) is False
    feedback = [Feedback.NONE, Feedback.NONE]
    feedback[send - 1] = Feedback.PENDING
    assert await stores.feedback(verification) == feedback
    assert await stores.pending() == [sid_of(verification, send)]


async def test_the_sid_of_another_send_frees_nothing(stores):
    """A confirmation waits for the SID of its own send, whether that of another send is known before or after."""
    for known_before in (True, False):
        verification = await stores.issue("111111")
        await stores.resend(verification, "222222")
        if known_before:
            await stores.deliver(verification, 2)
        assert (await stores.check(verification, "111111")).enqueued is False
        assert await stores.deliver(verification, 2) is False
        assert await stores.feedback(verification) == [Feedback.AWAITING_SID, Feedback.NONE]
        assert await stores.pending() == []


async def test_a_waiting_confirmation_survives_an_entry_that_cannot_be_written(stores):
    """If the entry cannot be written the SID is not stored either, so that the next callback tries again."""
    verification = await stores.issue("111111")
    await stores.check(verification, "111111")
    pending = f"otp:{{{verification.id[3]}}}:outbox"
    stores.admin.set(pending, "in the way", ex=60)
    with pytest.raises(StoreUnavailable):
        await stores.deliver(verification)
    stores.admin.delete(pending)
    assert await stores.feedback(verification) == [Feedback.AWAITING_SID]
    assert await stores.deliver(verification) is True


async def test_unknown_deliveries_change_nothing(stores):
    """A delivery for an unknown verification or send, or with another SID, changes nothing."""
    verification = await stores.sent("111111")
    before = stores.record(verification)
    assert await stores.verifications.deliver(stores.new().id, 1, sid=STRANGER, status=Delivery.READ) is None
    for send, sid in ((1, STRANGER), (2, STRANGER), (0, STRANGER)):
        assert await stores.deliver(verification, send, sid=sid, status=Delivery.READ) is None
    assert stores.record(verification) == before


async def test_deliveries_never_go_back(stores):
    """Statuses arrive in any order and repeatedly; the later stage and the first end stay; the SID counts once."""
    verification = await stores.sent("111111")
    order = [Delivery.SENT, Delivery.QUEUED, Delivery.UNKNOWN, Delivery.DELIVERED, Delivery.UNDELIVERED, Delivery.SENT]
    seen = []
    for status in (*order, Delivery.READ, Delivery.DELIVERED):
        await stores.deliver(verification, 1, status=status)
        seen.append((await stores.read(verification)).sends[0].status)
    assert seen == [Delivery.SENT] * 3 + [Delivery.DELIVERED] * 3 + [Delivery.READ] * 2
    assert (await stores.stats.totals())["accepted:US:sms"] == 1
    await stores.resend(verification, "222222")
    await stores.deliver(verification, 2, status=Delivery.SENT)
    assert [send.status for send in (await stores.read(verification)).sends] == [Delivery.READ, Delivery.SENT]


async def test_the_reason_of_a_failed_delivery_is_kept(stores):
    """Twilio's error code is stored with the send that failed."""
    verification = await stores.sent("111111")
    await stores.resend(verification, "222222")
    await stores.deliver(verification, 2, status=Delivery.UNDELIVERED, error_code=30003)
    sends = (await stores.read(verification)).sends
    assert [(send.status, send.error_code) for send in sends] == [
        (Delivery.QUEUED, None),
        (Delivery.UNDELIVERED, 30003),
    ]


async def test_a_reason_may_follow_its_status(stores):
    """A later report of the same failure may bring the error code; no other report changes it."""
    verification = await stores.sent("111111")
    await stores.deliver(verification, 1, status=Delivery.UNDELIVERED, error_code=30005)
    await stores.resend(verification, "222222")

    async def error_code_after(status, error_code):
        await stores.deliver(verification, 2, status=status, error_code=error_code)
        return (await stores.read(verification)).sends[1].error_code

    assert await error_code_after(Delivery.FAILED, None) is None
    assert await error_code_after(Delivery.UNDELIVERED, 30003) is None
    assert await error_code_after(Delivery.SENT, 30004) is None
    assert await error_code_after(Delivery.FAILED, 30007) == 30007
    assert await error_code_after(Delivery.FAILED, 30008) == 30007
    assert await error_code_after(Delivery.FAILED, None) == 30007
    assert (await stores.stats.totals())["failed:US:sms"] == 1


async def test_each_send_has_its_own_status(stores):
    """A status of one send changes no other send, and does not depend on the stage of another."""
    verification = await stores.sent("111111")
    await stores.deliver(verification, 1, status=Delivery.DELIVERED)
    await stores.resend(verification, "222222")
    await stores.deliver(verification, 2, status=Delivery.QUEUED)
    assert [send.status for send in (await stores.read(verification)).sends] == [Delivery.DELIVERED, Delivery.QUEUED]


async def test_the_sender_of_the_latest_stage_is_kept(stores):
    """The sender is that of the highest stage, in whatever order callbacks arrive; the first known one stays."""
    verification = await stores.sent("111111")

    async def sender_after(status, sender):
        await stores.deliver(verification, 1, status=status, sender=sender)
        return stores.raw(verification).get("sender", 1)

    assert await sender_after(Delivery.UNKNOWN, None) is None
    assert await sender_after(Delivery.QUEUED, "rcs:acme") == "rcs:acme"
    assert await sender_after(Delivery.DELIVERED, "+15005550006") == "+15005550006"
    assert await sender_after(Delivery.DELIVERED, "rcs:acme") == "+15005550006"
    assert await sender_after(Delivery.SENT, "rcs:acme") == "+15005550006"
    assert await sender_after(Delivery.READ, None) == "+15005550006"
    await stores.resend(verification, "222222")
    await stores.deliver(verification, 2, status=Delivery.UNKNOWN, sender="rcs:acme")
    assert stores.raw(verification).get("sender", 2) == "rcs:acme"


@pytest.mark.parametrize(
    ("callbacks", "counted"),
    [
        ([("queued", None), ("sent", "rcs:acme"), ("delivered", "rcs:acme"), ("read", "rcs:acme")], 1),
        ([("read", "rcs:acme"), ("delivered", "rcs:acme")], 1),
        ([("delivered", "rcs:acme"), ("delivered", "rcs:acme")], 1),
        ([("undelivered", "rcs:acme")], 1),
        ([("sent", "rcs:acme"), ("delivered", "+15005550006")], 0),  # the phone had no RCS: Twilio sent an SMS
        ([("sent", "rcs:acme")], 0),  # it may still become an SMS
        ([("delivered", "whatsapp:+15005550006")], 0),
        ([("delivered", None)], 0),
    ],
)
async def test_messages_that_became_rcs_are_counted(stores, callbacks, counted):
    """A message whose last callback comes from an RCS sender is counted once, whatever follows."""
    verification = await stores.sent("111111")
    for status, sender in callbacks:
        await stores.deliver(verification, 1, status=Delivery(status), sender=sender)
    assert (await stores.stats.totals())["rcs:US:sms"] == counted


async def test_a_refused_only_send_fails_the_verification(stores):
    """If Twilio permanently refuses the only send, the verification has failed and its code is not accepted."""
    verification = await stores.issue("111111")
    refused = await stores.verifications.refuse(verification, 1, error_code=21211, passing=False)
    assert refused.status is Status.FAILED
    assert (refused.sends[0].status, refused.sends[0].error_code) == (Delivery.FAILED, 21211)
    assert await stores.verdict(verification, "111111") is Verdict.WRONG_CODE


async def test_a_refused_resend_leaves_the_earlier_code(stores):
    """If a later send is permanently refused, the earlier one stays valid, and the refused code may be drawn again."""
    verification = await stores.sent("111111")
    resent = await stores.resend(verification, "222222")
    refused = await stores.verifications.refuse(resent, 2, error_code=30006, passing=False)
    assert (refused.status, refused.expires_at_ms) == (Status.PENDING, verification.expires_at_ms)
    assert [send.status for send in refused.sends] == [Delivery.QUEUED, Delivery.FAILED]
    assert [send.error_code for send in refused.sends] == [None, 30006]
    assert (await stores.stats.totals())["refused:US:sms"] == 1
    assert await stores.verdict(verification, "222222") is Verdict.WRONG_CODE
    await stores.resend(verification, "222222")
    assert await stores.verdict(verification, "111111") is Verdict.APPROVED


async def test_a_resend_that_twilio_was_too_busy_for_is_removed(stores):
    """A resend that was certainly not sent uses up neither a send nor time: the verification is as before."""
    stores = stores.under(max_sends=2)
    verification = await stores.sent("111111")
    before = await stores.read(verification)
    for code in ("222222", "333333"):
        resent = await stores.resend(verification, code)
        after = await stores.verifications.refuse(resent, 2, error_code=None, passing=True)
        assert (after.sends, after.expires_at_ms) == (before.sends, before.expires_at_ms)
        assert await stores.verdict(verification, code) is Verdict.WRONG_CODE
    await stores.resend(verification, "222222")
    await stores.deliver(verification, 2)
    assert await stores.verdict(verification, "222222") is Verdict.APPROVED
    assert await stores.pending() == [sid_of(verification, 2)]


async def test_a_verification_ends_with_its_newest_code_that_was_sent(stores):
    """A refused resend neither keeps a verification pending nor ends it sooner."""
    verification = await stores.sent("111111")
    stores.time_passes(CODE_TTL_MS // 2)
    await stores.resend(verification, "222222")
    stores.time_passes(CODE_TTL_MS // 4)
    resent = await stores.resend(verification, "333333")
    await stores.verifications.refuse(resent, 3, error_code=30006, passing=False)
    stores.time_passes(CODE_TTL_MS // 2)
    assert (await stores.read(verification)).status is Status.PENDING
    stores.time_passes(CODE_TTL_MS // 4)
    assert (await stores.read(verification)).status is Status.EXPIRED
    assert (await stores.verifications.cancel(verification.id)).status is Status.EXPIRED
    with pytest.raises(NotPending):
        await stores.resend(verification, "444444")


async def test_a_waiting_confirmation_keeps_its_record_for_an_hour(stores):
    """However short the late window, a code typed before its SID waits an hour for it."""
    stores = stores.under(late_window_seconds=0)
    verification = await stores.issue("111111")
    assert await stores.verdict(verification, "111111") is Verdict.APPROVED
    stores.time_passes(59 * MINUTE_MS)
    assert await stores.deliver(verification) is True
    assert await stores.pending() == [sid_of(verification)]


async def test_a_resend_after_a_refused_one_is_the_newest(stores):
    """After a further message may have been sent, its expiry and its code count."""
    stores = stores.under(supersede_codes=True)
    verification = await stores.sent("111111")
    stores.time_passes(MINUTE_MS)
    resent = await stores.resend(verification, "222222")
    await stores.verifications.refuse(resent, 2, error_code=30006, passing=False)
    stores.time_passes(MINUTE_MS)
    resent = await stores.resend(verification, "333333")
    await stores.deliver(verification, 3)
    assert resent.expires_at_ms == resent.sends[2].sent_at_ms + CODE_TTL_MS
    assert await stores.verdict(verification, "111111") is Verdict.SUPERSEDED
    assert await stores.verdict(verification, "333333") is Verdict.APPROVED


async def test_a_send_stores_the_key_of_its_request(stores):
    """The key of a resend is stored with that send only, and deleted with a send that was never sent."""
    verification = await stores.sent("111111")
    for code, request in (("222222", "k1"), ("333333", None), ("444444", "k2")):
        digests = stores.keyring.code_digests(verification.id, code)
        verification = await stores.verifications.resend(verification, digests, Channel.SMS, idempotency_tag=request)
    assert [send.idempotency_tag for send in verification.sends] == [None, "k1", None, "k2"]
    await stores.verifications.refuse(verification, 4, error_code=None, passing=True)
    resent = await stores.resend(verification, "555555")
    assert [send.idempotency_tag for send in resent.sends] == [None, "k1", None, None]
    refused = await stores.verifications.refuse(verification, 2, error_code=30006, passing=False)
    assert [send.idempotency_tag for send in refused.sends] == [None] * 4


@pytest.mark.parametrize("asked_first", [1, 2])
async def test_a_repeated_request_adds_no_send(stores, asked_first):
    """A repeated request that already has its send gets the record; nothing is written or counted."""
    stores = stores.under(number=Limits(((4, CODE_TTL_MS),)), max_sends=3)
    verification = await stores.sent("111111")
    codes = {1: "222222", 2: "333333"}
    for number, code in codes.items():
        request = "k1" if number == asked_first else None
        digests = stores.keyring.code_digests(verification.id, code)
        await stores.verifications.resend(verification, digests, Channel.SMS, idempotency_tag=request)
    before, number_before = stores.record(verification), stores.number_record()
    digests = stores.keyring.code_digests(verification.id, "444444")
    with pytest.raises(AlreadySent) as already:
        await stores.verifications.resend(verification, digests, Channel.SMS, idempotency_tag="k1")
    left = await stores.read(verification)
    assert undated(already.value.verification) == undated(left)._replace(number_tag=None)
    assert (stores.record(verification), stores.number_record()) == (before, number_before)
    await stores.check(verification, codes[asked_first])
    with pytest.raises(AlreadySent) as already:  # even after its code has been typed
        await stores.verifications.resend(verification, digests, Channel.SMS, idempotency_tag="k1")
    assert already.value.verification.status is Status.APPROVED


async def test_a_resend_under_a_newer_key_is_not_checked_without_it(stores):
    """A host without the key of the newest send checks nothing and counts no attempt; one with it checks every code."""
    behind, ahead = stores, stores.under(ROTATED)
    verification = await behind.sent("111111")
    await ahead.resend(verification, "222222")
    for code in ("111111", "222222", "000000"):
        with pytest.raises(StoreUnavailable):
            await behind.check(verification, code)
    assert (await ahead.read(verification)).attempts == 0
    assert await ahead.verdict(verification, "111111", to=NUMBER) is Verdict.APPROVED
    assert (await ahead.read(verification)).to == NUMBER


async def test_a_resend_does_not_shorten_a_wait_for_a_sid(stores):
    """A superseded code that waits for its SID keeps its hour, even if the resend would shorten the life."""
    stores = stores.under(late_window_seconds=0, supersede_codes=True)
    verification = await stores.issue("111111")
    await stores.resend(verification, "222222")
    await stores.deliver(verification, 2)
    assert await stores.verdict(verification, "111111") is Verdict.SUPERSEDED
    await stores.resend(verification, "333333")
    stores.time_passes(59 * MINUTE_MS)
    assert await stores.deliver(verification, 1) is True
    assert await stores.pending() == [sid_of(verification, 1)]


@pytest.mark.parametrize("passing", [True, False])
async def test_a_message_that_was_not_sent_gives_the_limit_back(stores, passing):
    """A send that Twilio was too busy for, or permanently refused, does not count for the number."""
    stores = stores.under(number=Limits(((1, CODE_TTL_MS),)))
    verification = await stores.issue("111111")
    refused = await stores.verifications.refuse(verification, 1, error_code=None, passing=passing)
    assert refused.resend_at_ms < verification.resend_at_ms
    await stores.issue("111111")
    with pytest.raises(Limited):
        await stores.issue("111111")


@pytest.mark.parametrize("passing", [True, False])
async def test_a_number_without_sends_leaves_no_record(stores, passing):
    """If its only send is taken back, only failed checks and a verification that stays are remembered of a number."""
    verification = await stores.issue("111111")
    await stores.verifications.refuse(verification, 1, error_code=None, passing=passing)
    assert set(stores.number_record()) == (set() if passing else {b"ids"})
    verification = await stores.issue("111111")
    await stores.check(verification, "000000")
    await stores.verifications.refuse(verification, 1, error_code=None, passing=passing)
    assert set(stores.number_record()) == ({b"streak"} if passing else {b"streak", b"ids"})
    held = (await stores.numbers.held(verification.to)).record
    assert (held.sends_ms, held.failed_in_a_row) == ((), 1)
    verification = await stores.issue("111111")
    stores.admin.delete(stores.number_key())
    refused = await stores.verifications.refuse(verification, 1, error_code=None, passing=passing)
    assert (refused.status, stores.number_record()) == (Status.FAILED, {})


@pytest.mark.parametrize(("passing", "seconds"), [(True, 60), (False, FORGOTTEN_MS // 1000)])
async def test_a_verification_that_twilio_was_too_busy_for_is_kept_for_a_minute(stores, passing, seconds):
    """A verification that Twilio was too busy for is deleted after a minute; a permanently refused one stays."""
    verification = await stores.issue("111111")
    await stores.verifications.refuse(verification, 1, error_code=None, passing=passing)
    assert seconds - 20 < stores.admin.ttl(redis_keys.verification(verification.id)) <= seconds
    assert (await stores.read(verification)).status is Status.FAILED


def _written(stores, verification, code, *, after):
    digest = stores.keyring.code_digests(verification.id, code)[0]
    return WrittenSend(verification.id, verification.number_tag, digest, after)


@pytest.mark.parametrize("passing", [True, False])
async def test_only_the_newest_send_is_removed(stores, passing):
    """An earlier send that is taken back stays in the record, and an unknown one changes nothing."""
    verification = await stores.issue("111111")
    await stores.resend(verification, "222222")
    before = stores.record(verification)
    with pytest.raises(UnknownVerification):
        await stores.verifications.refuse(verification, 3, error_code=21610, passing=passing)
    assert stores.record(verification) == before
    refused = await stores.verifications.refuse(verification, 1, error_code=21610, passing=passing)
    assert [(send.number, send.error_code) for send in refused.sends] == [(1, 21610), (2, None)]
    assert await stores.verdict(verification, "111111") is Verdict.WRONG_CODE
    assert await stores.verdict(verification, "222222") is Verdict.APPROVED


@pytest.mark.parametrize("end", [Status.APPROVED, Status.CANCELED])
async def test_a_refusal_changes_no_final_status(stores, end):
    """An ended verification keeps its status if Twilio refuses its only message afterwards."""
    verification = await stores.issue("111111")
    await (
        stores.check(verification, "111111") if end is Status.APPROVED else stores.verifications.cancel(verification.id)
    )
    assert (await stores.verifications.refuse(verification, 1, error_code=21610, passing=False)).status is end


async def test_a_send_is_taken_back_by_its_code(stores):
    """Taking back a resend by its code removes it from the record and the number, however often it is repeated."""
    stores = stores.under(number=Limits(((2, CODE_TTL_MS),)))
    verification = await stores.sent("111111")
    stores.time_passes(1000)
    before, number_before = await stores.read(verification), stores.number_record()
    await stores.resend(verification, "222222")
    await stores.verifications.take_back(_written(stores, verification, "222222", after=1))
    assert undated(await stores.read(verification))._replace(resend_at_ms=0) == undated(before)._replace(resend_at_ms=0)
    assert stores.number_record() == number_before
    with pytest.raises(UnknownVerification):
        await stores.verifications.take_back(_written(stores, verification, "222222", after=1))
    assert await stores.verdict(verification, "222222") is Verdict.WRONG_CODE
    assert await stores.verdict(verification, "111111") is Verdict.APPROVED


async def test_an_earlier_send_is_not_taken_back(stores):
    """Taking back the code of an earlier send changes nothing."""
    verification = await stores.sent("111111")
    await stores.resend(verification, "222222")
    before = stores.record(verification)
    for code, after in (("111111", 2), ("222222", 2), ("333333", 1), ("333333", 2)):
        with pytest.raises(UnknownVerification):
            await stores.verifications.take_back(_written(stores, verification, code, after=after))
    assert stores.record(verification) == before


async def test_an_issue_is_taken_back_by_its_code(stores):
    """An only send that was never handed to Twilio fails its verification, which is deleted within a minute."""
    verification = await stores.issue("111111")
    await stores.verifications.take_back(_written(stores, verification, "111111", after=0))
    assert (await stores.read(verification)).status is Status.FAILED
    assert 0 < stores.admin.ttl(redis_keys.verification(verification.id)) <= 60
    assert not stores.admin.exists(stores.number_key())


async def test_one_send_taken_back_gives_one_send_back(stores):
    """When two sends have the same millisecond, taking one back frees one send of the number, not two."""
    stores = stores.under(number=Limits(((2, CODE_TTL_MS),)))
    verification = await stores.issue("111111")
    await stores.issue("111111")
    instant = verification.sends[0].sent_at_ms
    stores.admin.hset(stores.number_key(), "sends", f"{instant},{instant}")
    await stores.verifications.refuse(verification, 1, error_code=None, passing=True)
    await stores.issue("111111")
    with pytest.raises(Limited):
        await stores.issue("111111")


async def test_canceling_ends_a_pending_verification(stores):
    """A canceled verification stays canceled, whatever code is typed."""
    verification = await stores.sent("111111")
    for _ in range(2):
        assert (await stores.verifications.cancel(verification.id)).status is Status.CANCELED
    assert await stores.verdict(verification, "000000") is Verdict.WRONG_CODE
    assert await stores.verdict(verification, "111111") is Verdict.CANCELED
    assert (await stores.read(verification)).status is Status.CANCELED
    assert (await stores.stats.totals())["canceled"] == 1


async def test_no_write_recreates_an_expired_record(stores):
    """After a record has expired, no step recreates it (promise 9)."""
    verification = await stores.sent("111111")
    await stores.check(verification, "111111")
    (entry,) = (await stores.claim(verification)).entries
    assert await stores.confirmations.fail(entry, "given up")
    stores.admin.delete(f"otp:{{{verification.id[3]}}}:v:{verification.id}")
    store = stores.verifications
    for step in (
        stores.read(verification),
        stores.check(verification, "111111", idempotency_key="k1"),
        stores.resend(verification, "222222"),
        store.cancel(verification.id),
        store.refuse(verification, 1, error_code=None, passing=True),
    ):
        with pytest.raises(UnknownVerification):
            await step
    assert await stores.deliver(verification, 1, status=Delivery.READ) is None
    assert await stores.confirmations.retry(entry) is True
    (entry,) = (await stores.claim(verification)).entries
    assert await stores.confirmations.settle(entry) is True
    assert stores.record(verification) == {}
