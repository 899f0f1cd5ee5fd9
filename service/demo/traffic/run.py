"""Makes the traffic of the demo: writes 30 planned days, then lets people sign in."""

import asyncio
import time
from collections.abc import Mapping

import aiohttp

from service.app import open_redis
from service.config.settings import Settings
from service.demo.traffic.counters import write_hour
from service.demo.traffic.plan import DAYS, HOUR_SECONDS, planned_hours
from service.demo.traffic.visitors import Visitors
from service.store.funnel import redis_now_ms
from service.store.funnel_upkeep import RedisFunnelUpkeep


async def make_traffic(settings: Settings, url: str, key: str, senders: Mapping[str, str]) -> str:
    """Make it, and say what was made."""
    started = time.perf_counter()
    sends = await write_days(settings, senders)
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(url, headers=headers, connector=aiohttp.TCPConnector(force_close=True)) as http:
        visitors = await Visitors(http).come()
    seconds = time.perf_counter() - started
    return f"{sends:,} sends of {DAYS} days, and {visitors} people who signed in just now, in {seconds:.0f} s"


async def write_days(settings: Settings, senders: Mapping[str, str]) -> int:
    """Write the planned days; return how many sends they have."""
    sends = 0
    async with open_redis(settings) as scripts:
        funnel = RedisFunnelUpkeep(scripts)
        last_hour = await redis_now_ms(scripts) // (HOUR_SECONDS * 1000)
        for hour, planned in planned_hours(last_hour):
            sends += await write_hour(funnel, hour, planned, senders=senders)
            await asyncio.sleep(0)  # the service shares this event loop
        await funnel.roll_up()
    return sends
