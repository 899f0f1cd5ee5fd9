"""Every figure of the report equals a recount of random journeys: under Twilio's faults, and while servers are killed.

`make recount` makes more journeys (RECOUNT_JOURNEYS), in rounds; RECOUNT_SEED repeats some.
"""

import asyncio
import os
import random
import secrets
from functools import partial

import aiohttp
import pytest

from service.core.reports.counters import read_state
from tests.chaos.journeys import TEST_NUMBERS, Traveller
from tests.chaos.recount import PRICES
from tests.chaos.reported import differences, read_report, recounted_and_reported, settled
from tests.chaos.system import ACCOUNT, bring_up, open_dependencies, open_system

JOURNEYS = int(os.environ.get("RECOUNT_JOURNEYS", "200"))
ROUND = 1000  # the codes of a round must not end before it, and the simulator keeps 10,000 messages
FAULTS = (
    {"endpoint": "messages", "kind": "refuse", "code": 21610, "count": 1, "channel": "sms"},
    {"endpoint": "messages", "kind": "429", "count": 3, "seconds": 3, "channel": "sms"},
    {"endpoint": "messages", "kind": "refuse", "code": 63024, "count": 1, "channel": "whatsapp"},
    {"endpoint": "calls", "kind": "refuse", "code": 13224, "count": 1},
    {"endpoint": "messages", "kind": "lost_response", "count": 1},
    {"endpoint": "calls", "kind": "lost_response", "count": 1},
    {"endpoint": "callbacks", "kind": "fail", "code": 30003, "count": 2},
    {"endpoint": "callbacks", "kind": "drop", "count": 2},
    {"endpoint": "callbacks", "kind": "double", "count": 3},
    {"endpoint": "callbacks", "kind": "out_of_order", "count": 3},
    {"endpoint": "phone", "kind": "busy", "count": 1},
    {"endpoint": "phone", "kind": "voicemail", "count": 1},
    {"endpoint": "phone", "kind": "canceled", "count": 1},
)
HARMLESS = [fault for fault in FAULTS if fault["endpoint"] in ("callbacks", "phone")]  # what a killed caller can count
SETTINGS = {
    "OTP_LIMIT_NUMBER": "",
    "OTP_LIMIT_FAILED_CHECKS": "",
    "OTP_LIMIT_KEY": "",
    "OTP_LIMIT_LINK": "",
    "OTP_LIMIT_IP": "20/1h",
    "OTP_MAX_SENDS": "5",
    "OTP_TEST_NUMBERS": ",".join(f"{number}:{code}" for number, code in TEST_NUMBERS.items()),
    "TWILIO_WHATSAPP_FROM": ACCOUNT.pool_number,
    "TWILIO_WHATSAPP_TEMPLATES": f"en={ACCOUNT.templates['en']},de={ACCOUNT.templates['de']}",
    "TWILIO_VOICE_FROM": ACCOUNT.pool_number,
}


@pytest.mark.slow
@pytest.mark.timeout(600 + JOURNEYS)
@pytest.mark.parametrize("kills", [False, True], ids=["faults", "kills"])
async def test_every_figure_equals_a_recount(tmp_path, kills):
    """Two servers, random journeys: the report groups exactly the sends that callers, people and Twilio know."""
    seed = os.environ.get("RECOUNT_SEED") or secrets.token_hex(4)
    prices = tmp_path / "prices.csv"
    lines = [f"{country},{channel},0.000{price}" for (country, channel), price in PRICES.items()]
    prices.write_text("\n".join(["currency,USD", *lines]))
    with open_dependencies(tmp_path) as dependencies:
        async with open_system(dependencies, **SETTINGS, OTP_PRICES=str(prices)) as system:
            for first in range(0, JOURNEYS // 2, ROUND):
                print(f"seed {seed}/{first}")
                await _round(system, f"{seed}/{first}", min(ROUND, JOURNEYS // 2 - first), kills=kills)


async def _round(system, seed, count, *, kills):
    await system.reset()
    traveller = Traveller(system, seed, is_patient=not kills)
    travelling = asyncio.create_task(traveller.make(count))
    await _disturb(system, random.Random(seed), travelling, kills=kills)
    await travelling
    # What is refused is counted first. Nobody hears of it if the server is killed, or if the next message of a list is
    # refused because sending is halted.
    # The callback that names the sender may have been taken by a server that was killed before it answered.
    rules = {"may_count_more": {"blocked"}, "unknown": {"sender"}} if kills else {"may_count_more": {"sending_halted"}}
    compare = partial(differences, **rules)
    facts, wrong = await settled(partial(recounted_and_reported, system, traveller.journeys), compare)
    assert not wrong, f"RECOUNT_SEED, and first journey: {seed}: (recounted, reported): {wrong}"
    await _notices_one_more(system, facts, compare)


async def _notices_one_more(system, facts, compare):
    """Control: the recount notices a counter that is one off, whichever it is."""
    redis = system.dependencies.redis.admin
    keys = redis.scan_iter("otp:{*}:funnel:h*")
    key, field = random.choice(
        [(key, field) for key in keys for field in redis.hkeys(key) if _is_shown(field.decode())]
    )
    redis.hincrby(key, field, 1)
    with pytest.raises(AssertionError):
        assert not compare(facts, await read_report(system)), f"{field} of {key} is one off, and nobody noticed"
    redis.hincrby(key, field, -1)


def _is_shown(field):
    """Tell whether one more in a counter changes a figure: from delivered to read, a send moves without one."""
    if field.count("|") != 6 or "|b" in field:
        return False
    *_, send_number, name = field.split("|")
    left, _, entered = name.partition(">")
    return not entered or all(
        _figures_of(left, send_number, is_open=is_open) != _figures_of(entered, send_number, is_open=is_open)
        for is_open in (True, False)
    )


def _figures_of(state, send_number, *, is_open):
    read = read_state(state)
    ending = read.ending_at(is_open=is_open) if send_number == "1" else None  # a verification is counted once
    return read.delivery, read.error_code, read.slot is None, ending, read.reason(is_open=is_open)


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
