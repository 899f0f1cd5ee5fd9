"""The dashboard and the report with 400 days of data: how soon they show, and how long others wait.

    python tests/bench/bench_dashboard.py [--rounds 5] [--quick]

The days are those of `demo --traffic`, again and again. `first figures` is the time from opening the page of a
signed-in operator until it shows the figures of the year; `late` is the longest time that /livez took to respond
meanwhile, over all rounds. A process reads 400 days once, and remembers their sums; so each report is timed when it is
asked for the first time, and `again`. The browser, Redis, the service and this bench share the machine.
"""

import argparse
import asyncio
import contextlib
import statistics
import threading
import time

import requests
from playwright.sync_api import sync_playwright
from results import Budget, save
from servers import service, valkey

from service.core.api_keys import Scope, new_api_key
from service.core.reports.counters import DAY_MS, HOUR_MS
from service.demo.traffic.counters import write_hour
from service.demo.traffic.plan import planned_hours
from service.redis_client import open_redis_client
from service.store.funnel import redis_now_ms
from service.store.funnel_upkeep import RedisFunnelUpkeep
from service.store.ledgers import RedisApiKeys
from service.store.merged_counters import Merged
from service.store.scripts import Scripts
from tests.pages.conftest import FLAGS, chromium

DAYS = 400
MOST_SECONDS = 1.0
SENDERS = {"sms": "+15005550006", "whatsapp": "whatsapp:+15005550006"}
QUESTIONS = ("group_by=day", "group_by=country", "group_by=day,country")


class Days(dict):
    """Adds hours up to days."""

    async def fill(self, name, rows, ends):
        """Add an hour."""
        self.setdefault(int(name[1:]) * HOUR_MS // DAY_MS, Merged()).add(rows, ends)


def main():
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="two rounds")
    options = parser.parse_args()
    rounds = 2 if options.quick else options.rounds
    with valkey() as redis_url:
        key = asyncio.run(fill(redis_url))
        with service(redis_url) as target, late(target) as livez:
            url = f"http://127.0.0.1:{target.port}"
            shown = first_figures(url, key, rounds)
        with service(redis_url) as target:
            url = f"http://127.0.0.1:{target.port}"
            rows = {each: [asked(target, url, key, each) for _ in range(rounds)] for each in QUESTIONS}
    for question, (first, *again) in rows.items():
        seconds, cpu, size = (statistics.median(run[what] for run in again) for what in ("seconds", "cpu", "bytes"))
        print(f"{question:22} {first['seconds']:.2f} s, CPU of the service {first['cpu']:.2f} s, {size / 1000:.0f} kB")
        print(f"{'  again':22} {seconds:.2f} s, CPU of the service {cpu:.2f} s")
    print(f"first figures          {statistics.median(shown):.2f} s ({min(shown):.2f} to {max(shown):.2f})")
    print(f"  the first time       {shown[0]:.2f} s")
    print(f"/livez took at most {max(livez) * 1000:.0f} ms, the median {statistics.median(livez) * 1000:.1f} ms")
    budget = Budget(
        what="dashboard with 400 days: first figures", measured=statistics.median(shown), most=MOST_SECONDS, unit="s",
        spread=(min(shown), max(shown)),
    )  # fmt: skip
    save("dashboard", {"reports": rows, "first figures": shown, "late": max(livez)}, [budget])


async def fill(redis_url):
    """Write 400 days: those older than the last 30 again as rolled-up days; return a key that may read them."""
    client = await open_redis_client(redis_url, client_name="bench", timeout_seconds=30)
    scripts, days = Scripts(client), Days()
    upkeep, now_ms = RedisFunnelUpkeep(scripts), await redis_now_ms(scripts)
    for hour, planned in planned_hours(now_ms // HOUR_MS):
        await write_hour(days, hour, planned, senders=SENDERS)
        if now_ms - hour * HOUR_MS < 4 * DAY_MS:
            await write_hour(upkeep, hour, planned, senders=SENDERS)
    whole = [days[day] for day in sorted(days)][1:-1]
    for back in range(3, DAYS):
        await write_day(upkeep, now_ms // DAY_MS - back, whole[back % len(whole)].rows)
    key, kept = new_api_key("bench", [Scope.REPORTS])
    await RedisApiKeys(scripts).add(kept.digest, kept.particulars)
    await client.close()
    return key


async def write_day(upkeep, day, rows):
    """Write a day as if its hours had been rolled up."""

    def change(merged):
        merged.add(rows, {})
        merged.is_rolled_up = True

    await upkeep._change(f"d{day}", change)


def asked(target, url, key, question):
    """Ask for a report; return how long it took, what it cost the service, and how large it is."""
    cpu, began = target.cpu_seconds(), time.perf_counter()
    address = f"{url}/v1/reports/conversion?since={DAYS - 1}d&{question}"
    answer = requests.get(address, headers={"Authorization": f"Bearer {key}"}, timeout=60)
    answer.raise_for_status()
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "cpu": target.cpu_seconds() - cpu, "bytes": len(answer.content)}


@contextlib.contextmanager
def late(target):
    """Ask /livez a hundred times a second until the block ends; yield how long each response took."""
    times, is_over = [], threading.Event()

    def ask():
        with requests.Session() as session:
            while not is_over.wait(0.01):
                began = time.perf_counter()
                session.get(f"http://127.0.0.1:{target.port}/livez", timeout=60).raise_for_status()
                times.append(time.perf_counter() - began)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield times
    finally:
        is_over.set()
        asking.join()


def first_figures(url, key, rounds):
    """Open the page of the year as a signed-in operator; return how long each time took."""
    headers = {"Sec-Fetch-Site": "same-origin"}
    signed_in = requests.post(f"{url}/dashboard/session", json={"api_key": key}, headers=headers, timeout=30)
    signed_in.raise_for_status()
    cookies = [{"name": name, "value": value, "url": url} for name, value in signed_in.cookies.items()]
    times = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        for _ in range(rounds):
            context = browser.new_context()  # without a cache
            context.add_cookies(cookies)
            page = context.new_page()
            began = time.perf_counter()
            page.goto(f"{url}/dashboard?since={DAYS - 1}d&tz=UTC", wait_until="commit")
            page.locator(".figure[data-key] .value").first.wait_for()
            times.append(time.perf_counter() - began)
            context.close()
        browser.close()
    return times


if __name__ == "__main__":
    main()
