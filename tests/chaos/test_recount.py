"""Every figure of the report equals a recount of random journeys: under Twilio's faults, and while servers are killed.

`make recount` makes more journeys (RECOUNT_JOURNEYS); RECOUNT_SEED repeats some.
"""

import asyncio
import os
import random
import secrets
import time

import aiohttp
import pytest

from tests.chaos.recount import Traveller, recount
from tests.chaos.system import bring_up, open_dependencies, open_system

JOURNEYS = int(os.environ.get("RECOUNT_JOURNEYS", "200"))
GROUPINGS = ("country", "purpose", "action", "send_number")
FAULTS = (
    {"endpoint": "messages", "kind": "refuse", "code": 21610, "count": 1},
    {"endpoint": "messages", "kind": "429", "count": 3, "seconds": 3},
    {"endpoint": "messages", "kind": "lost_response", "count": 1},
    {"endpoint": "callbacks", "kind": "fail", "code": 30003, "count": 2},
    {"endpoint": "callbacks", "kind": "drop", "count": 2},
    {"endpoint": "callbacks", "kind": "double", "count": 3},
    {"endpoint": "callbacks", "kind": "out_of_order", "count": 3},
)
HARMLESS = [fault for fault in FAULTS if fault["endpoint"] == "callbacks"]  # what a killed caller still can count
SETTINGS = {"OTP_LIMIT_NUMBER": "", "OTP_LIMIT_FAILED_CHECKS": "", "OTP_MAX_SENDS": "5", "OTP_LIMIT_IP": "20/1h"}


@pytest.mark.slow
@pytest.mark.timeout(600 + JOURNEYS)
@pytest.mark.parametrize("kills", [False, True], ids=["faults", "kills"])
async def test_every_figure_equals_a_recount(tmp_path, kills):
    """Two servers, random journeys: the report groups exactly the sends that callers, people and Twilio know."""
    seed = os.environ.get("RECOUNT_SEED") or secrets.token_hex(4)
    print(f"seed {seed}")
    with open_dependencies(tmp_path) as dependencies:
        async with open_system(dependencies, **SETTINGS) as system:
            await system.reset()
            traveller = Traveller(system, seed, has_limits=not kills)
            travelling = asyncio.create_task(traveller.make(JOURNEYS // 2))
            await _disturb(system, random.Random(seed), travelling, kills=kills)
            await travelling
            await _equals(system, traveller, seed)


async def _equals(system, traveller, seed):
    """Compare until the last callback has come; the states of every group add up."""
    deadline = time.monotonic() + 30
    while True:
        await traveller.read()
        expected, found = recount(traveller.journeys), await _report(system)
        if expected == found or time.monotonic() > deadline:
            break
        await asyncio.sleep(0.5)
    assert not (wrong := _differences(expected, found)), f"RECOUNT_SEED={seed}: (recounted, reported): {wrong}"
    assert sum(sum(group.get("sends", {}).values()) for group in found.values()) > 0


def _differences(expected, found):
    """List the figures that differ, by group, each as it was recounted and as it was reported."""
    figures = {
        (*key, name, each)
        for groups in (expected, found)
        for key, group in groups.items()
        for name, counts in group.items()
        for each in counts
    }
    pairs = {
        (*key, name, each): tuple(groups.get(tuple(key), {}).get(name, {}).get(each, 0) for groups in (expected, found))
        for *key, name, each in figures
    }
    return {figure: pair for figure, pair in pairs.items() if pair[0] != pair[1]}


async def _report(system):
    """Read the report by all groupings, two at a time being the most: the others are filters."""
    found = {}
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {system.key}"}) as http:
        for action in ("code", "password", "link"):
            for country in ("US", "DE"):
                asked = {"group_by": "purpose,send_number", "action": action, "country": country}
                async with http.get(f"{system.url(1)}/v1/reports/conversion", params=asked) as response:
                    assert response.status == 200
                    report = await response.json()
                for group in report["groups"]:
                    purpose, send_number = group["key"]["purpose"], group["key"]["send_number"]
                    found[country, purpose, action, send_number] = _counts(group)
    return found


def _counts(group):
    """Return the figures of a group that are not zero, by name; check that they add up."""
    verifications, sends = group["verifications"], group["sends"]
    assert verifications.pop("total") == sum(verifications.values())
    assert sends.pop("total") == sum(sends.values()) == sum(group["delivery"].values())
    assert sum(group["unconverted"].values()) == sum(sends.values()) - sends["confirmed"]
    lists = {
        "blocked": {one["reason"]: one["count"] for one in group["blocked"]["reasons"]},
        "errors": {one["code"]: one["count"] for one in group["errors"]},
    }
    shown = {name: group[name] for name in ("verifications", "sends", "delivery", "unconverted")} | lists
    kept = {name: {key: count for key, count in counts.items() if count} for name, counts in shown.items()}
    return {name: counts for name, counts in kept.items() if counts}


async def _disturb(system, draw, travelling, *, kills):
    """Plan faults of Twilio, and kill one server after the other, until the journeys are over."""
    async with aiohttp.ClientSession(system.dependencies.twilio_url) as http:
        while not travelling.done():
            async with http.post("/_/faults", json=draw.choice(HARMLESS if kills else FAULTS)) as response:
                assert response.status == 201
            await asyncio.sleep(draw.uniform(0.05, 0.3))
            if kills and draw.random() < 0.4:
                process = draw.choice(system.servers)
                process.kill()
                await bring_up(process)
