"""Confirmation lag: from the response to a check to its report at Twilio, and the takeover of a dead worker's entries.

    python tests/bench/bench_lag.py [--checks 600] [--per-second 100] [--quick]

Lag: codes are requested and submitted over the whole path, at a steady rate; the simulator records when each report
arrives, by the clock of the same machine. First with the worker inside the service, which wakes it directly, then with
a separate worker, which polls. Takeover: a worker has claimed entries and hangs at Twilio when it is killed; then
Twilio is fixed, and another worker posts the entries when the leases have expired.
"""

import argparse
import asyncio
import re
import time
from contextlib import ExitStack
from datetime import datetime

import aiohttp
from paired import spread
from pending import API_KEY, add_api_key
from results import Budget, save
from servers import sandbox, service, valkey, worker
from simulated_twilio import call, hanging

MOST_LAG_SECONDS, MOST_TAKEOVER_SECONDS = 1.0, 60.0
ENTRIES = 24  # one worker posts up to 32 at once
TIMEOUT_SECONDS = 90
# All requests here have the same address and prefix.
SETTINGS = {f"OTP_LIMIT_{name}": "" for name in ("PREFIX", "COUNTRY", "KEY", "DAY")}
CODE = re.compile(r"\b[0-9]{6}\b")


def main():
    """Measure the lag of both workers, then the takeover."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checks", type=int, default=600)
    parser.add_argument("--per-second", type=float, default=100.0)
    parser.add_argument("--quick", action="store_true", help="no takeover, which waits for a lease of 30 s")
    options = parser.parse_args()
    lags = {place: lag(options, apart=place == "worker apart") for place in ("worker inside", "worker apart")}
    rows, budgets = {"options": vars(options), "lag ms": lags}, []
    for place, of_place in lags.items():
        print(f"lag, {place}: p50 {of_place['p50']:.1f}, p99 {of_place['p99']:.1f}, most {of_place['most']:.1f} ms")
        budgets.append(
            Budget(
                what=f"confirmation lag p99, Twilio healthy, {place}",
                measured=of_place["p99"] / 1000,
                most=MOST_LAG_SECONDS,
                unit="s",
            )
        )
    if not options.quick:
        seconds = rows["takeover seconds"] = takeover()
        print(f"takeover: {ENTRIES} entries of a killed worker were posted after {seconds:.1f} s")
        what = "a dead worker's entries taken over and posted"
        budgets.append(Budget(what=what, measured=seconds, most=MOST_TAKEOVER_SECONDS, unit="s"))
    save("lag", rows, budgets)


def lag(options, *, apart):
    """Return the percentiles of the lag in milliseconds."""
    with valkey() as redis_url, sandbox() as twilio, ExitStack() as stack:
        where = {"TWILIO_BASE_URL": f"http://127.0.0.1:{twilio.port}", **SETTINGS}
        target = stack.enter_context(service(redis_url, worker=not apart, **where))
        if apart:
            stack.enter_context(worker(redis_url, **where))
        add_api_key(redis_url)
        answered = asyncio.run(log_in(target, twilio, options.checks, per_second=options.per_second))
        confirmed = confirmed_at(twilio, options.checks)
    lags_ms = sorted(max(0.0, (confirmed[sid] - at) * 1000) for sid, at in answered.items())
    between = spread(lags_ms)
    return {"p50": between.median, "p99": lags_ms[int(len(lags_ms) * 0.99)], "most": between.most}


def takeover():
    """Kill a worker that holds entries; return the seconds until another worker has posted them all."""
    with valkey() as redis_url, sandbox() as twilio, ExitStack() as stack:
        where = {"TWILIO_BASE_URL": f"http://127.0.0.1:{twilio.port}", **SETTINGS}
        with service(redis_url, **where) as target:
            add_api_key(redis_url)
            asyncio.run(log_in(target, twilio, ENTRIES, per_second=100))
        with hanging(twilio, "feedback"):
            first_worker = stack.enter_context(worker(redis_url, name="worker", **where))
            wait(lambda: call(twilio, "GET", "/_/stats")["concurrent_now"] == ENTRIES)
            stack.enter_context(worker(redis_url, name="worker", **where))
            first_worker.process.kill()
            first_worker.process.wait()
            killed_at = time.time()
        confirmed_at(twilio, ENTRIES)
        return time.time() - killed_at


async def log_in(target, twilio, count, *, per_second):
    """Request codes, then submit them at a steady rate; return by SID when each response came, in epoch seconds."""
    answered = {}
    loop = asyncio.get_running_loop()
    headers = {"Authorization": f"Bearer {API_KEY}"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{target.port}", headers=headers) as http:

        async def ask(number):
            body = {"to": f"+1415555{number:04d}"}
            async with http.post("/v1/verifications", json=body, raise_for_status=True) as response:
                return body["to"], (await response.json())["id"]

        async def type_in(verification_id, message):
            body = {"code": CODE.search(message["body"])[0]}
            async with http.post(f"/v1/verifications/{verification_id}/verify", json=body) as response:
                content = await response.json()
            answered[message["sid"]] = time.time()
            if not content.get("valid"):
                raise SystemExit(f"A right code got {content}")

        ids = {}
        for start in range(0, count, 50):
            ids |= dict(await asyncio.gather(*map(ask, range(start, min(start + 50, count)))))
        messages = await asyncio.to_thread(call, twilio, "GET", "/_/messages")
        started, typing = loop.time(), []
        for place, message in enumerate(messages):
            await asyncio.sleep(max(0.0, started + place / per_second - loop.time()))
            typing.append(asyncio.create_task(type_in(ids[message["to"]], message)))
        await asyncio.gather(*typing)
    return answered


def confirmed_at(twilio, count):
    """Wait until Twilio has accepted this many confirmations; return by SID when each arrived, in epoch seconds."""

    def taken():
        posts = call(twilio, "GET", "/_/feedback")
        return {post["sid"]: datetime.fromisoformat(post["at"]).timestamp() for post in posts if post["status"] == 200}

    wait(lambda: len(taken()) == count)
    return taken()


def wait(fact):
    """Wait until the condition holds."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not fact():
        if time.monotonic() > deadline:
            raise SystemExit("The condition did not hold in time.")
        time.sleep(0.05)


if __name__ == "__main__":
    main()
