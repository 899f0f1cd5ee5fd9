"""One measured run of checks against one target: throughput, latency, and the CPU time of a check in each process.

Every check has the right code of its own pending verification, so every check approves and enqueues. Redis counts the
approvals, too, so that a run with other responses fails.
"""

import argparse
from dataclasses import asdict, dataclass

from pending import approved_count, make_pending, verify_requests
from servers import redis_cpu_seconds
from wrk import play

CONNECTIONS = 64


@dataclass(frozen=True)
class Checks:
    """The result of one run; CPU is in microseconds of all processes of a kind, per check."""

    per_second: float
    p50_us: int
    p99_us: int
    target_cpu_us: float
    redis_cpu_us: float
    generator_cpu_us: float

    def __str__(self):
        speed = f"{self.per_second:7,.0f} checks/s   p50 {self.p50_us / 1000:5.1f} p99 {self.p99_us / 1000:5.1f} ms"
        cost = f"target {self.target_cpu_us:4.0f}, Redis {self.redis_cpu_us:3.0f}, wrk {self.generator_cpu_us:3.0f}"
        return f"{speed}   CPU us a check: {cost}"


def read_options(docstring):
    """Read the options of a bench that compares such runs: `rounds`, and the `seconds` of each."""
    parser = argparse.ArgumentParser(description=docstring.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: a first impression")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 2, 1
    return options


def run_checks(target, redis_url, *, seconds, most_per_second, connections=CONNECTIONS):
    """Make enough pending verifications, check them for this number of seconds, and verify that all were approved."""
    made = make_pending(redis_url, seconds * most_per_second)
    approved, cpu, redis_cpu = approved_count(redis_url), target.cpu_seconds(), redis_cpu_seconds(redis_url)
    run = play(target.port, verify_requests(made), seconds=seconds, connections=connections)
    cpu, redis_cpu = target.cpu_seconds() - cpu, redis_cpu_seconds(redis_url) - redis_cpu
    approved = approved_count(redis_url) - approved
    if not run.requests <= approved <= run.requests + connections:  # wrk does not count requests that its end cut off
        raise SystemExit(f"{target.name}: {run.requests} checks got a response, {approved} were approved")
    return Checks(
        per_second=run.per_second,
        p50_us=run.p50_us,
        p99_us=run.p99_us,
        target_cpu_us=cpu / approved * 1e6,
        redis_cpu_us=redis_cpu / approved * 1e6,
        generator_cpu_us=run.generator_cpu_us,
    )


def as_rows(compared):
    """Convert the readings of an alternation for results.py."""
    return {name: [asdict(reading) for reading in readings] for name, readings in compared.readings.items()}
