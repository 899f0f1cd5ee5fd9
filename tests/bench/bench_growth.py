"""Growth: whether checks stay as fast with a million pending verifications as with a thousand, and what each takes.

    python tests/bench/bench_growth.py [--largest 1000000] [--rounds 4] [--seconds 2] [--quick]

Two Redis side by side, a small and a full one, each with a service of its own that is measured in turn. What fills
them are verifications like any other, each with the record of its number (pending.py); they live for about an hour.
"""

import argparse
import time
from contextlib import ExitStack

import redis
from checking import as_rows, run_checks
from paired import alternate
from pending import make_pending
from results import Budget, save
from servers import service, valkey

from service.adapters import redis_keys

SMALLEST, LARGEST = 1_000, 1_000_000
LEAST_RATIO = 0.9
MOST_PER_SECOND = 30_000
TELL_EACH = 100_000


def main():
    """Fill, measure in turn, conclude."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--largest", type=int, default=LARGEST)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a tenth of it, and fewer rounds: an impression")
    options = parser.parse_args()
    if options.quick:
        options.largest, options.rounds, options.seconds = options.largest // 10, 2, 1
    with ExitStack() as running:
        targets, held = {}, {}
        for name, count in (("small", SMALLEST), ("full", options.largest)):
            redis_url = running.enter_context(valkey())
            held[name] = fill(redis_url, count)
            targets[name] = (running.enter_context(service(redis_url)), redis_url)

        def measure(name):
            return lambda: run_checks(*targets[name], seconds=options.seconds, most_per_second=MOST_PER_SECOND)

        compared = alternate({name: measure(name) for name in targets}, rounds=options.rounds, show=str)
    conclude(options, compared, held)


def fill(redis_url, count):
    """Make so many pending verifications; tell what they take."""
    with redis.Redis.from_url(redis_url) as client:
        before, started = client.info("memory")["used_memory"], time.monotonic()

        def tell(made):
            if made % TELL_EACH == 0:
                print(f"  {made:9,} pending after {time.monotonic() - started:4.0f} s", flush=True)

        [*_, last] = make_pending(redis_url, count, tell=tell)
        held = {
            "pending": count,
            "keys": client.dbsize(),
            "bytes each, number and all": (client.info("memory")["used_memory"] - before) / count,
            "bytes of one record": client.memory_usage(redis_keys.verification(last.id), samples=0),
        }
    print(f"  {held}", flush=True)
    return held


def conclude(options, compared, held):
    """Print and save the ratios."""
    ratio = compared.ratio("full", "small", lambda checks: checks.per_second)
    redis_cpu = {name: compared.of(name, lambda checks: checks.redis_cpu_us) for name in held}
    print(f"throughput, full / small        {ratio}   budget at least {LEAST_RATIO}")
    print(f"Redis CPU us a check            small {redis_cpu['small']}, full {redis_cpu['full']}")
    what = f"verify throughput at {options.largest:,} pending, over that at {SMALLEST:,}"
    save(
        "growth",
        {"options": vars(options), "held": held, "readings": as_rows(compared), "Redis CPU us a check": redis_cpu},
        [Budget(what=what, measured=ratio.median, spread=(ratio.least, ratio.most), least=LEAST_RATIO, unit="x")],
    )


if __name__ == "__main__":
    main()
