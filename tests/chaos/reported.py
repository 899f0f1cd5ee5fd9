"""Reads the report of a system by every grouping, and compares it with a recount."""

import asyncio
import time
from decimal import Decimal

import aiohttp

from tests.chaos.recount import grouped, read_all, recount

COUNTRIES, ACTIONS = ("US", "DE"), ("code", "password", "link", "reply", "call")
# Each is one question: labels to group by, and filters.
QUESTIONS = [
    *(((label,), {}) for label in ("hour", "day", "country", "channel", "sender", "purpose", "action", "send_number")),
    *((("channel", "sender"), {"action": action}) for action in ACTIONS),
    *(
        (("purpose", "send_number"), {"action": action, "country": country})
        for action in ACTIONS
        for country in COUNTRIES
    ),
]
# A lost message is looked for a minute after its code was typed; then the report moves once more.
SECONDS_TO_SETTLE = 150


async def read_report(system):
    """Read the report by all questions: its figures that are not zero, as `grouped` has them."""
    found = []
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {system.key}"}) as http:
        for group_by, filters in QUESTIONS:
            asked = {"group_by": ",".join(group_by), **filters}
            async with http.get(f"{system.url(1)}/v1/reports/conversion", params=asked) as response:
                assert response.status == 200, await response.text()
                groups = (await response.json())["groups"]
            figures = {tuple(group["key"][label] for label in group_by): counts_of(group) for group in groups}
            found.append({key: counts for key, counts in figures.items() if counts})
    return found


def counts_of(group):
    """Return the figures of a group that are not zero, by name; check that the states add up, and the rates."""
    verifications, sends = dict(group["verifications"]), dict(group["sends"])
    verified, total = verifications.pop("total"), sends.pop("total")
    assert verified == sum(verifications.values())
    assert total == sum(sends.values()) == sum(group["delivery"].values())
    assert sum(group["unconverted"].values()) == total - sends["confirmed"]
    assert group["success_rate"] == _rate(verifications["approved"], verified)
    assert group["conversion_rate"] == _rate(sends["confirmed"], total)
    assert group["delivery_rate"] == _rate(group["delivery"]["delivered"], total)
    assert group["sends_per_approval"] == _rate(total, verifications["approved"])
    provider, cost = group["twilio"], round(float(group["cost"]["total"]) * 10_000)
    ok = sum(group["delivery"][name] for name in ("accepted", "sent", "delivered"))
    shares = {"per_status_ok": ok, "per_confirmed": sends["confirmed"], "per_approval": verifications["approved"]}
    for name, share in shares.items():
        assert group["cost"][name] == (f"{Decimal(cost) / 10_000 / share:.4f}" if share else None)
    assert provider["attempted"] == provider["status_ok"] + provider["errors"]
    assert provider["conversion_rate"] == _rate(provider["conversions"], provider["attempted"])
    counts = {
        "verifications": verifications,
        "sends": sends,
        "delivery": group["delivery"],
        "unconverted": group["unconverted"],
        "blocked": {one["reason"]: one["count"] for one in group["blocked"]["reasons"]},
        "errors": {one["code"]: one["count"] for one in group["errors"]},
        "twilio": {name: provider[name] for name in ("attempted", "status_ok", "errors", "conversions", "countries")},
        "cost": {"total": cost},
        "times": {name: group[f"seconds_to_{name}"]["count"] for name in ("deliver", "convert")},
    }
    kept = {name: {key: count for key, count in each.items() if count} for name, each in counts.items()}
    return {name: each for name, each in kept.items() if each}


def _rate(part, whole):
    return round(part / whole, 4) if whole else None


def differences(facts, report, *, may_count_more=(), unknown=()):
    """List the figures that differ: each as it was recounted and as it was reported.

    A figure, or a value, that `may_count_more` names is counted at least once: the report may have more, but not less.
    Questions by a label that is `unknown` are left out.
    """
    wrong = {}
    for (group_by, filters), found in zip(QUESTIONS, report, strict=True):
        if {*group_by} & {*unknown}:
            continue
        expected = grouped(facts, group_by, filters)
        for place in _places(expected) | _places(found):
            pair = tuple(_figure(groups, place) for groups in (expected, found))
            if pair[0] > pair[1] or (pair[0] < pair[1] and not {*place[1:]} & {*may_count_more}):
                wrong[*group_by, *filters.values(), *place] = pair
    return wrong


def _places(groups):
    return {(key, name, each) for key, group in groups.items() for name, counts in group.items() for each in counts}


def _figure(groups, place):
    key, name, each = place
    return groups.get(key, {}).get(name, {}).get(each, 0)


async def settled(read, compare, *, seconds=SECONDS_TO_SETTLE):
    """Read facts and report, until nothing differs or the time is over; return the last facts, and what differed.

    A callback, or a message that was lost and is found, may come between two readings: the next ones agree.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            facts, report = await read()
            wrong = compare(facts, report)
            if not wrong or time.monotonic() > deadline:
                return facts, wrong
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.5)


async def recounted_and_reported(system, journeys):
    """Read both: the facts, and the report."""
    facts = recount(journeys, await read_all(system, journeys))
    return facts, await read_report(system)
