"""Latency against load: a check's p50, p99 and p99.9 at fractions of the capacity, for service and plain handler.

    python tests/bench/bench_open_loop.py [--seconds 3] [--rounds 3] [--quick]

Open loop (open_loop.py): requests arrive whether the target keeps up or not. First the capacity of each target is
measured in closed loop; then each gets the same fractions of its own capacity, in turn. The lateness of the generator
is shown as well.
"""

import argparse
import statistics
from contextlib import ExitStack
from dataclasses import asdict, dataclass

import uvloop
from checking import run_checks
from load import post
from open_loop import arrive
from pending import API_KEY, make_pending, verify_requests
from results import save
from servers import plain, service, valkey

FRACTIONS = (0.2, 0.4, 0.6, 0.8, 0.9)
PERCENTILES = (50, 99, 99.9)
CAPACITY_SECONDS = 2
MOST_PER_SECOND = 30_000


@dataclass(frozen=True)
class Offered:
    """One load and its latencies in milliseconds."""

    fraction: float
    per_second: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    generator_late_p99_ms: float


def main():
    """Measure capacity, then latency at its fractions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one short round: a first impression")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 1.5
    with valkey() as redis_url, ExitStack() as running:
        targets = {make.__name__: running.enter_context(make(redis_url)) for make in (service, plain)}
        capacities = {name: capacity(target, redis_url) for name, target in targets.items()}
        readings = {name: [] for name in targets}
        for fraction in FRACTIONS:
            for number in range(options.rounds):
                for name in list(targets) if number % 2 == 0 else reversed(targets):
                    offered = offer(
                        targets[name],
                        redis_url,
                        fraction=fraction,
                        most_per_second=capacities[name],
                        seconds=options.seconds,
                        seed=number,
                    )
                    readings[name].append(offered)
                    print_reading(name, offered)
    conclude(options, capacities, readings)


def capacity(target, redis_url):
    """Measure the highest throughput of a target; the first run warms up."""
    run_checks(target, redis_url, seconds=1, most_per_second=MOST_PER_SECOND)
    checks = run_checks(target, redis_url, seconds=CAPACITY_SECONDS, most_per_second=MOST_PER_SECOND)
    print(f"  capacity {target.name:8} {checks}", flush=True)
    return checks.per_second


def offer(target, redis_url, *, fraction, most_per_second, seconds, seed):
    """Offer a fraction of the capacity for some seconds."""
    per_second = fraction * most_per_second
    made = make_pending(redis_url, int(per_second * seconds))
    requests = [post(path, body, token=API_KEY) for path, body in verify_requests(made)]
    answered = uvloop.run(arrive(target.port, requests, per_second=per_second, seed=seed))
    if answered.statuses != {200: len(requests)}:
        raise SystemExit(f"{target.name}: responses {dict(answered.statuses)}")
    return Offered(fraction, per_second, *map(answered.milliseconds, PERCENTILES), answered.late_milliseconds(99))


def print_reading(name, offered):
    """Print one reading."""
    load = f"{name:8} {offered.fraction:4.0%} {offered.per_second:6,.0f}/s"
    latencies = f"p50 {offered.p50_ms:6.2f}   p99 {offered.p99_ms:7.2f}   p99.9 {offered.p999_ms:7.2f} ms"
    print(f"  {load}   {latencies}   (generator late p99 {offered.generator_late_p99_ms:.2f} ms)", flush=True)


def conclude(options, capacities, readings):
    """Print the median of each load, and save all."""
    for name, offers in readings.items():
        for fraction in FRACTIONS:
            same = [asdict(one) for one in offers if one.fraction == fraction]
            print_reading(name, Offered(**{field: statistics.median(one[field] for one in same) for field in same[0]}))
    rows = {"options": vars(options), "capacity per second": capacities, "offered": readings}
    save("open_loop", rows)


if __name__ == "__main__":
    main()
