"""Does a Twilio that hangs slow down the checks? The p99 of a check while it hangs, over the p99 while it is healthy.

    python tests/bench/bench_hung.py [--rounds 9] [--seconds 4] [--quick]

Hung: 200 sends wait for a Twilio that does not respond, and 10,000 confirmations are pending, up to 32 of them in
progress. Each reading has its own service process, with its worker inside, at the same open-loop rate; healthy and hung
take turns. Two comparisons:

    alone    the checks enqueue nothing new, and nothing is pending while Twilio is healthy: only the hang differs.
             The budget applies to this one.
    everyday every check enqueues; a healthy Twilio gets the confirmations at once. The hang prevents that work, so this
             ratio may be under 1.
"""

import argparse
import asyncio
import json
from contextlib import nullcontext
from dataclasses import dataclass

import uvloop
from checking import run_checks
from load import post
from open_loop import arrive
from paired import alternate
from pending import API_KEY, approve, forget_all, make_pending, verify_requests
from results import Budget, save
from servers import fast_twilio, sandbox, service, valkey
from simulated_twilio import hanging, wait_for_calls

MOST_RATIO = 1.1
SENDS, ENTRIES, POSTING = 200, 10_000, 32
FRACTION = 0.4  # of the capacity
EVERYDAY_PER_SECOND = 500  # a check with its confirmation costs several times one without
WARM_UP_SECONDS = 1
MOST_LATE_MS = 0.7
SETTINGS = {
    "OTP_MAX_IN_FLIGHT": "1024",  # sends may use half of the slots
    "OTP_SENDS_IN_FLIGHT": "512",
    "OTP_LIMIT_PREFIX": "",
}


@dataclass(frozen=True)
class Reading:
    """The latencies of one run in milliseconds."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    generator_late_p99_ms: float
    per_second: float

    @property
    def is_sound(self):
        """Return whether the generator was on time; otherwise another process used the machine."""
        return self.generator_late_p99_ms < MOST_LATE_MS

    def __str__(self):
        return (
            f"p50 {self.p50_ms:5.2f}   p90 {self.p90_ms:5.2f}   p99 {self.p99_ms:6.2f} ms   at {self.per_second:,.0f}/s"
        )


def main():
    """Measure both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=3.0, help="at most 4.2: a send gives up after 5")
    parser.add_argument("--quick", action="store_true", help="one pair of each: a first impression")
    options = parser.parse_args()
    if options.quick:
        options.rounds = 1
    if options.seconds > 4.2:
        parser.error("the sends would give up during the measurement")
    with valkey() as redis_url, sandbox() as hung, fast_twilio() as healthy:
        bench = Bench(redis_url, hung, healthy, options.seconds)
        per_second = FRACTION * capacity(redis_url)
        print("alone: the checks enqueue nothing new")
        alone = bench.compare(per_second, enqueueing=False, rounds=options.rounds)
        print("everyday: every check enqueues a confirmation, posted once Twilio is healthy")
        everyday = bench.compare(EVERYDAY_PER_SECOND, enqueueing=True, rounds=(options.rounds + 1) // 2)
    ratios = {
        name: pairs.ratio("hung", "healthy", p99_ms) for name, pairs in (("alone", alone), ("everyday", everyday))
    }
    for name, ratio in ratios.items():
        print(f"p99 hung / healthy, {name:8} {ratio}   budget at most {MOST_RATIO}")
    save(
        "hung",
        {"options": vars(options), "alone": alone.readings, "everyday": everyday.readings, "ratios": ratios},
        [
            Budget(
                what=f"verify p99, Twilio hung ({SENDS} sends, {ENTRIES:,} pending), over healthy",
                measured=ratios["alone"].median,
                spread=(ratios["alone"].least, ratios["alone"].most),
                most=MOST_RATIO,
                unit="x",
            )
        ],
    )


def capacity(redis_url):
    """Measure the highest throughput of the service."""
    with service(redis_url, **SETTINGS) as target:
        run_checks(target, redis_url, seconds=1, most_per_second=30_000)
        checks = run_checks(target, redis_url, seconds=2, most_per_second=30_000)
    print(f"capacity {checks}")
    return checks.per_second


class Bench:
    """One Redis and two Twilios; the readings alternate between these."""

    def __init__(self, redis_url, hung, healthy, seconds):
        self._redis_url, self._hung, self._healthy, self._seconds = redis_url, hung, healthy, seconds

    def compare(self, per_second, *, enqueueing, rounds):
        """Alternate healthy and hung."""
        measures = {
            "healthy": lambda: self._read(per_second, enqueueing=enqueueing, is_hung=False),
            "hung": lambda: self._read(per_second, enqueueing=enqueueing, is_hung=True),
        }
        # Each reading warms up its own process.
        return alternate(measures, rounds=rounds, show=str, warm_up=0, is_sound=lambda reading: reading.is_sound)

    def _read(self, per_second, *, enqueueing, is_hung):
        forget_all(self._redis_url)
        twilio = self._hung if is_hung else self._healthy
        warming = self._requests(int(per_second * WARM_UP_SECONDS), enqueueing=enqueueing)
        requests = self._requests(int(per_second * self._seconds), enqueueing=enqueueing)
        # The same writes in both: the load of the disk must not depend on Twilio.
        approve(self._redis_url, make_pending(self._redis_url, ENTRIES, enqueueing=is_hung))
        with (
            hanging(twilio, "messages", "feedback") if is_hung else nullcontext(),
            service(
                self._redis_url, worker=True, TWILIO_BASE_URL=f"http://127.0.0.1:{twilio.port}", **SETTINGS
            ) as target,
        ):
            uvloop.run(arrive(target.port, warming, per_second=per_second))
            answered = uvloop.run(self._measure(target, requests, per_second, is_hung=is_hung))
        if answered.statuses != {200: len(requests)}:
            raise SystemExit(f"responses {dict(answered.statuses)}")
        return Reading(*map(answered.milliseconds, (50, 90, 99)), answered.late_milliseconds(99), per_second)

    async def _measure(self, target, requests, per_second, *, is_hung):
        if not is_hung:
            return await arrive(target.port, requests, per_second=per_second)
        sends = await asyncio.gather(*(begin_send(target.port, number) for number in range(SENDS)))
        await wait_for_calls(self._hung, SENDS + POSTING)
        answered = await arrive(target.port, requests, per_second=per_second)
        await wait_for_calls(self._hung, SENDS)  # they hung until the end; a few posts may have timed out just now
        for writer in sends:
            writer.close()
        return answered

    def _requests(self, count, *, enqueueing):
        made = make_pending(self._redis_url, count, enqueueing=enqueueing)
        return [post(path, body, token=API_KEY) for path, body in verify_requests(made)]


async def begin_send(port, number):
    """Request a code, and do not wait for the response."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(post("/v1/verifications", json.dumps({"to": f"+1415555{number:04d}"}), token=API_KEY))
    return writer


def p99_ms(reading):
    """Return the p99."""
    return reading.p99_ms


if __name__ == "__main__":
    main()
