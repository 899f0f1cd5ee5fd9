"""A regression guard for speed: the CPU time of a check in the service, over that in a plain handler, by pairs.

    python tests/bench/bench_speed.py [--rounds 5] [--least 3.0]

This is not a budget but a guard: it exits with 1 when a change has made checks clearly more expensive. No time is
compared with a fixed value: both targets are measured in turn, on one machine and in one run, and CPU time does not
include waiting.
"""

import argparse
import sys

from checking import run_checks
from paired import alternate
from servers import plain, service, valkey

# Measured: medians of 3.3 and 3.6, single rounds from 2.5 to 4.2. On a busy machine a median was a tenth lower.
# Below this limit a check has become clearly more expensive.
LEAST_RATIO = 2.6
MOST_PER_SECOND = {"service": 30_000, "plain": 12_000}


def main():
    """Measure, print the ratio, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--least", type=float, default=LEAST_RATIO, help="the ratio below which it fails")
    options = parser.parse_args()
    with valkey() as redis_url, service(redis_url) as ours, plain(redis_url) as theirs:

        def measure(target):
            return lambda: run_checks(target, redis_url, seconds=1, most_per_second=MOST_PER_SECOND[target.name])

        compared = alternate({"service": measure(ours), "plain": measure(theirs)}, rounds=options.rounds, show=str)
    ratio = compared.ratio("plain", "service", lambda checks: checks.target_cpu_us)
    print(f"plain / service, CPU a check  {ratio}   at least {options.least}")
    return int(ratio.median < options.least)


if __name__ == "__main__":
    sys.exit(main())
