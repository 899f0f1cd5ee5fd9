"""The conversion counters: every send is in exactly one state, in the hour in which it was sent."""

from collections import Counter

import pytest

from service.core.actions import Action
from service.core.channels import Channel
from service.core.limits import Limited, parse_limits
from service.core.verification import Delivery, Verdict, partition_of
from service.core.verification_store import Matching
from service.store.merged_counters import read_counters
from tests.store.engines import CODE_TTL_MS, POLICY, sid_of

FIRST = "US|sms||login|code|1"


def counted(stores, keys="otp:*:funnel:[hd][0-9]*"):
    """Return the counters of all hours by labels and state, without those that are back at nothing."""
    sums = {}
    for key in stores.admin.scan_iter(keys):
        rows, _ = read_counters([word for pair in stores.admin.hgetall(key).items() for word in pair])
        for labels, row in rows.items():
            counters = sums.setdefault(labels, {})
            for state, count in row.items():
                counters[state] = counters.get(state, 0) + count
    return {
        labels: kept for labels, counters in sums.items() if (kept := {name: n for name, n in counters.items() if n})
    }


def logged(stores):
    """Return the log of what did not convert: the states, newest first."""
    keys = stores.admin.scan_iter("otp:*:funnel:unconverted")
    return [line.decode().rpartition("|")[2] for key in keys for line in stores.admin.lrange(key, 0, -1)]


async def test_a_send_is_counted_where_it_stands(stores):
    """From step to step a send moves from one state to the next, and to the labels of its sender once that is known."""
    sent = await stores.issue("111111")
    assert counted(stores) == {FIRST: {"n": 1}}
    await stores.deliver(sent)
    assert counted(stores) == {FIRST: {"n": 1, "1q.-.p": 1}}
    await stores.deliver(sent, status=Delivery.SENT, sender="+15005550006")
    named = "US|sms|+15005550006|login|code|1"
    assert counted(stores) == {named: {"n": 1, "2s.-.p": 1}}
    for _ in range(2):
        await stores.deliver(sent, status=Delivery.DELIVERED, sender="+15005550006")
    assert counted(stores) == {named: {"n": 1, "3d.-.p": 1, "t0": 1}}
    stores.raw(sent).set("sent_at_ms", int(stores.raw(sent).get("sent_at_ms", 1)) - 7_000, 1)
    await stores.check(sent, "111111")
    assert counted(stores) == {named: {"n": 1, "3d.c6.a": 1, "t0": 1}}
    await stores.check(sent, "111111")
    await stores.deliver(sent, status=Delivery.READ)
    assert counted(stores) == {named: {"n": 1, "4r.c6.a": 1, "t0": 1}}


async def test_times_are_counted_for_the_metrics(stores):
    """Each delivery and each approval is counted with its time: once, as in the report, and nothing falls."""
    sent, seen = await stores.sent("111111"), Counter()

    async def totals():
        now = await stores.stats.totals()
        assert now >= seen
        return now

    stores.raw(sent).set("sent_at_ms", int(stores.raw(sent).get("sent_at_ms", 1)) - 3_000, 1)
    for status in (Delivery.DELIVERED, Delivery.DELIVERED, Delivery.READ):
        await stores.deliver(sent, status=status)
        seen = await totals()
    assert (seen["delivered:US:sms:4"], seen["read:US:sms"]) == (1, 1)
    resent = await stores.sent("333333")
    await stores.resend(resent, "444444")
    stores.raw(resent).set("sent_at_ms", int(stores.raw(resent).get("sent_at_ms", 1)) - 3_000, 1)
    await stores.deliver(resent, 2, status=Delivery.DELIVERED)
    assert (await totals())["delivered:US:sms:0"] == 1
    other = await stores.sent("222222")
    await stores.deliver(other, status=Delivery.READ)
    stores.raw(sent).set("sent_at_ms", int(stores.raw(sent).get("sent_at_ms", 1)) - 4_000, 1)
    for _ in range(2):
        await stores.check(sent, "111111")
        seen = await totals()
    timed = {name: value for name, value in seen.items() if name.rpartition(":")[2].isdigit()}
    assert timed == {"delivered:US:sms:4": 1, "delivered:US:sms:0": 1, "read:US:sms:0": 1, "approved:US:sms:6": 1}
    assert counted(stores) == {
        FIRST: {"n": 3, "4r.c6.a": 1, "4r.-.p": 1, "1q.-.p": 1, "t4": 1, "t0": 1},
        FIRST[:-1] + "2": {"n": 1, "3d.-.p": 1, "t0": 1},
    }


async def test_an_answer_counts_for_every_send(stores):
    """What is typed moves every send of the verification: the one that was used, and the others."""
    sent = await stores.sent("111111")
    await stores.resend(sent, "222222")
    assert await stores.verdict(sent, "999999") is Verdict.WRONG_CODE
    second = FIRST[:-1] + "2"
    assert counted(stores) == {FIRST: {"n": 1, "1q.w.p": 1}, second: {"n": 1, "0u.w.p": 1}}
    await stores.check(sent, "999999")
    await stores.resend(sent, "333333")
    third = FIRST[:-1] + "3"
    assert counted(stores)[third] == {"n": 1}, "nothing was typed since"
    await stores.check(sent, "222222")
    states = {labels: set(states) - {"n"} for labels, states in counted(stores).items()}
    assert states == {FIRST: {"1q.w.a"}, second: {"0u.c0.a"}, third: {"0u.-.a"}}
    await stores.check(sent, "111111")
    assert set(counted(stores)[FIRST]) == {"n", "1q.l.a"}, "typed too late"
    assert logged(stores) == ["1q.l.a"]


@pytest.mark.parametrize("how", ["locked", "canceled", "declined", "expired"])
async def test_an_end_is_counted(stores, how):
    """A verification that ends without an approval ends for each of its sends; only an expiry needs no count."""
    sent = await stores.sent("111111")
    if how == "locked":
        for _ in range(POLICY.max_attempts):
            await stores.check(sent, "999999")
    elif how == "canceled":
        assert (await stores.verifications.cancel(sent.id)).status == "canceled"
        await stores.verifications.cancel(sent.id)
    elif how == "declined":
        await stores.check(sent, "111111", action=Action.CODE, matching=Matching.DECLINED)
    else:
        stores.raw(sent).set("sent_at_ms", int(stores.raw(sent).get("sent_at_ms", 1)) - CODE_TTL_MS, 1)
        await stores.check(sent, "111111")
    states = {"locked": "1q.w.m", "canceled": "1q.-.c", "declined": "1q.l.c", "expired": "1q.l.p"}
    assert counted(stores) == {FIRST: {"n": 1, states[how]: 1}}
    assert logged(stores) == ([states[how]] if states[how][3] == "l" else [])


async def test_a_refused_send_is_counted_as_refused(stores):
    """A message that the provider refuses is told from one that failed on its way; so is why."""
    sent = await stores.issue("111111")
    await stores.verifications.refuse(sent, 1, error_code=21610, passing=False)
    assert counted(stores) == {FIRST: {"n": 1, "3x21610.-.f": 1}}
    assert logged(stores) == ["3x21610.-.f"]
    lost = await stores.sent("111111")
    await stores.deliver(lost, status=Delivery.UNDELIVERED, error_code=30003)
    await stores.resend(lost, "222222")
    await stores.verifications.refuse(lost, 2, error_code=None, passing=True)
    assert counted(stores) == {
        FIRST: {"n": 2, "3x21610.-.f": 1, "3u30003.-.p": 1},
        FIRST[:-1] + "2": {"n": 1, "3x.-.p": 1},
    }
    await stores.resend(lost, "333333")
    assert counted(stores)[FIRST[:-1] + "2"] == {"n": 2, "3x.-.p": 1}


async def test_a_wrong_code_before_a_refusal_is_not_of_the_next_send(stores):
    """A wrong code that is typed while a send is being refused says nothing of the send that takes its number."""
    sent = await stores.sent("111111")
    await stores.resend(sent, "222222")
    await stores.check(sent, "999999")
    await stores.verifications.refuse(sent, 2, error_code=None, passing=True)
    await stores.resend(sent, "333333")
    second = FIRST[:-1] + "2"
    assert counted(stores) == {FIRST: {"n": 1, "1q.w.p": 1}, second: {"n": 2, "3x.w.p": 1}}
    await stores.check(sent, "333333")
    assert counted(stores) == {FIRST: {"n": 1, "1q.w.a": 1}, second: {"n": 2, "3x.w.p": 1, "0u.c0.a": 1}}


async def test_what_a_limit_refuses_is_no_send(stores):
    """A send that a limit of the number refuses is counted by the limit, and is no send."""
    limited = stores.under(number=parse_limits("1/10m"))
    sent = await limited.issue("111111")
    with pytest.raises(Limited):
        await limited.issue("111111", purpose="payment")
    with pytest.raises(Limited):
        await limited.resend(sent, "222222", Channel.VOICE)
    with pytest.raises(Limited):
        await stores.under(most_failed_in_a_row=0).resend(sent, "222222")
    with pytest.raises(Limited):
        await stores.under(most_failed_in_a_row=0).issue("222222")
    assert counted(stores) == {
        FIRST: {"n": 1, "bfailed_checks": 1},
        "US|sms||payment|code|1": {"bnumber": 1},
        "US|voice||login|code|2": {"bnumber": 1},
        FIRST[:-1] + "2": {"bfailed_checks": 1},
    }


async def test_what_is_refused_before_it_is_written_is_counted(stores):
    """A send that a limit or a rule refuses before a script runs is counted under its own labels, and is no send."""
    sent = await stores.issue("111111", purpose="payment")
    await stores.verifications.count_blocked(sent.id, sent.request, Channel.VOICE, send_number=2, reason="day")
    assert counted(stores)["US|voice||payment|code|2"] == {"bday": 1}


async def test_a_refused_resend_is_counted_alone(stores):
    """The error of a resend that was refused for good is its own: the first send stays as it is."""
    sent = await stores.sent("111111")
    await stores.resend(sent, "222222")
    await stores.verifications.refuse(sent, 2, error_code=21610, passing=False)
    assert counted(stores) == {FIRST: {"n": 1, "1q.-.p": 1}, FIRST[:-1] + "2": {"n": 1, "3x21610.-.p": 1}}


async def test_a_test_number_is_not_counted(stores):
    """No message is sent to a test number, so it is in no report, and its approval has no time in the metrics."""
    assert await stores.verdict(await stores.issue("222222", is_test=True), "222222") is Verdict.APPROVED
    assert (await stores.stats.totals())["approved:US:sms"] == 1
    test = await stores.issue("111111", is_test=True)
    with pytest.raises(Limited):
        await stores.under(most_failed_in_a_row=0).issue("111111", is_test=True)
    await stores.verifications.refuse(test, 1, error_code=None, passing=False)
    assert counted(stores) == {}
    assert logged(stores) == []


async def test_the_combinations_of_an_hour_are_bounded(stores):
    """Beyond 2,000 combinations of labels an hour's sends are counted as `other`, whatever becomes of them."""
    known = await stores.issue("111111")
    [hour] = stores.admin.scan_iter("otp:*:funnel:h[0-9]*")
    stores.admin.hset(hour, "#", 1999)
    last = FIRST.replace("login", "last")
    await stores.issue("111111", purpose="last")
    rare = await stores.issue("111111", purpose="rare")
    other = "other|other|other|other|other|1"
    assert counted(stores) == {FIRST: {"n": 1}, last: {"n": 1}, other: {"n": 1}}
    assert not stores.admin.hexists(hour, "US|sms||rare|code|1|n"), "what is not known takes no memory"
    await stores.deliver(rare, sender="+15005550006")
    await stores.check(rare, "111111")
    await stores.deliver(known, sender="+15005550006", sid=sid_of(known))
    await stores.check(known, "111111")
    assert counted(stores) == {last: {"n": 1}, other: {"n": 2, "1q.c0.a": 2}}
    assert stores.admin.hget(hour, "#") == b"2000"
    await stores.issue("111111")
    assert counted(stores)[FIRST] == {"n": 1}, "what is known stays known"


async def test_a_send_takes_no_label_from_a_refused_one(stores):
    """A send that takes the number of one that was refused is `other` only if its own labels are."""
    sent = await stores.sent("111111")
    [hour] = stores.admin.scan_iter("otp:*:funnel:h[0-9]*")
    stores.admin.hset(hour, "#", 2000)
    await stores.resend(sent, "222222")
    await stores.verifications.refuse(sent, 2, error_code=None, passing=True)
    stores.admin.hset(hour, "#", 1)
    await stores.resend(sent, "333333")
    other = {"other|other|other|other|other|2": {"n": 1, "3x.-.p": 1}}
    assert counted(stores) == {FIRST: {"n": 1, "1q.-.p": 1}, FIRST[:-1] + "2": {"n": 1}} | other
    await stores.check(sent, "333333")
    assert counted(stores) == {FIRST: {"n": 1, "1q.-.a": 1}, FIRST[:-1] + "2": {"n": 1, "0u.c0.a": 1}} | other


async def test_each_send_is_counted_in_its_own_hour(stores):
    """A send of another hour than the first stays in its own, and one that is `other` leaves the first as it was."""
    sent = await stores.sent("111111", ttl_seconds=86_400)
    stores.raw(sent).set("sent_at_ms", sent.sends[0].sent_at_ms - 3 * 3_600_000, 1)
    [hour] = stores.admin.scan_iter("otp:*:funnel:h[0-9]*")
    stores.admin.hset(hour, "#", 2000)
    await stores.resend(sent, "222222")
    await stores.deliver(sent, 2)
    await stores.check(sent, "222222")
    moved = counted(stores, hour)
    assert moved["other|other|other|other|other|2"]["1q.c0.a"] == 1
    assert moved[FIRST]["1q.-.p"] == 1, "this is another hour than that of the first send by now"
    assert counted(stores)[FIRST] == {"n": 1, "1q.-.a": 1}


async def test_an_old_day_is_counted_by_day(stores):
    """What moves two days after the end of its day is counted in the day, as a difference."""
    sent = await stores.sent("111111")
    long_ago = int(stores.raw(sent).get("sent_at_ms", 1)) - 3 * 86_400_000
    stores.raw(sent).set("sent_at_ms", long_ago, 1)
    await stores.check(sent, "111111")
    assert counted(stores, f"otp:*:funnel:d{long_ago // 86_400_000}") == {FIRST: {"1q.-.p": -1, "1q.l.p": 1}}
    prefix = f"otp:{{{partition_of(sent.id)}}}:funnel:"
    names = sorted(stores.admin.smembers(f"{prefix}open"))
    assert [name[:1] for name in names] == [b"d", b"h"]
    lives = [stores.admin.ttl(prefix.encode() + name) for name in names]
    assert [399 < life / 86_400 <= 400 for life in lives] == [True, False]
    assert 34 < lives[1] / 86_400 <= 35


async def test_a_resend_keeps_an_hour_that_was_merged(stores):
    """An hour that a resend keeps open, and in which nothing else is left, is listed and has a TTL like any other."""
    sent = await stores.sent("111111", ttl_seconds=86_400)
    stores.raw(sent).set("sent_at_ms", sent.sends[0].sent_at_ms - 3 * 3_600_000, 1)
    await stores.resend(sent, "222222")
    opened = f"otp:{{{partition_of(sent.id)}}}:funnel:open"
    assert stores.admin.scard(opened) == 2
    assert stores.admin.ttl(opened) > 399 * 86_400


async def test_each_action_has_its_own_end(stores):
    """The hour says for each action when its last code ends: a shorter life does not change that of a longer one."""
    long = await stores.issue("111111", ttl_seconds=3600)
    await stores.issue("111111", ttl_seconds=60)
    await stores.issue("111111", action=Action.PASSWORD, ttl_seconds=7200)
    assert 0 <= _ends(stores) * 1000 - long.expires_at_ms < 60_000
    [hour] = stores.admin.scan_iter("otp:*:funnel:h[0-9]*")
    assert int(stores.admin.hget(hour, "^password")) > _ends(stores) + 3000


async def test_each_send_has_the_sender_that_carried_it(stores):
    """A sender that becomes known without a new status moves its own send, and no other one."""
    sent = await stores.sent("111111")
    await stores.resend(sent, "222222")
    await stores.deliver(sent, 2, sender="+15005550006")
    await stores.deliver(sent, 1, sender="Acme")
    assert {labels: count["n"] for labels, count in counted(stores).items() if "n" in count} == {
        "US|sms|Acme|login|code|1": 1, "US|sms|+15005550006|login|code|2": 1,
    }  # fmt: skip


async def test_a_resend_keeps_the_hour_of_its_verification_open(stores):
    """The hour of a verification says when the last of its codes ends, whichever send that is."""
    sent = await stores.issue("111111")
    ends_at = _ends(stores)
    assert 0 <= ends_at * 1000 - sent.expires_at_ms < 60_000
    [hour] = stores.admin.scan_iter("otp:*:funnel:h[0-9]*")
    stores.admin.hset(hour, "^code", ends_at - 600)
    stores.raw(sent).set("sent_at_ms", sent.sends[0].sent_at_ms - 300_000, 1)
    again = await stores.resend(sent, "222222")
    assert 0 <= _ends(stores) * 1000 - again.expires_at_ms < 60_000


def _ends(stores):
    return max(int(stores.admin.hget(key, "^code")) for key in stores.admin.scan_iter("otp:*:funnel:h[0-9]*"))
