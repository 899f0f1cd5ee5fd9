"""Verify throughput: the service compared with the plain handler of plain.py and the ceiling of ceiling.py, in turn.

    python tests/bench/bench_verify.py [--rounds 5] [--seconds 3] [--quick]

Closed loop by wrk; every check approves and enqueues. Generator, Redis and target share the machine, so each throughput
is shown with the CPU time that one check cost each of them: the process that used a whole core was the bottleneck. The
ratio of the targets' CPU times is the ratio of their throughputs on a machine with free cores.

The budget applies with 128 connections, which keep a worker busy. With 64, measured too, all concurrent checks fit
into a few writes, so that on two cores target and Redis wait for each other.
"""

from contextlib import ExitStack

from checking import CONNECTIONS, as_rows, read_options, run_checks
from paired import alternate
from pending import forget_all
from results import Budget, save
from servers import ceiling, plain, service, valkey

LEAST_RATIO = 4.0
FEW, MANY = CONNECTIONS, 2 * CONNECTIONS
# More than any target here can check: the bench ends if the list is exhausted.
MOST_PER_SECOND = {"service": 30_000, "plain": 12_000, "ceiling": 30_000}


def main():
    """Measure one worker under a full load and under half of it, then two workers."""
    options = read_options(__doc__)
    both = {"service": service, "plain": plain}
    single = compare(options, both | {"ceiling": ceiling}, workers=1, connections=MANY)
    few = compare(options, both, workers=1, connections=FEW)
    double = compare(options, both, workers=2, connections=MANY)
    conclude(options, single, few, double)


def compare(options, makers, *, workers, connections):
    """Run the targets side by side on one Redis, and measure them in turn."""
    print(f"workers: {workers}, connections: {connections}")
    with valkey() as redis_url, ExitStack() as running:
        targets = {name: running.enter_context(make(redis_url, workers=workers)) for name, make in makers.items()}

        def measure(name):
            forget_all(redis_url)  # each starts with the same Redis: a million records make it slower (bench_growth.py)
            return run_checks(
                targets[name],
                redis_url,
                seconds=options.seconds,
                most_per_second=MOST_PER_SECOND[name],
                connections=connections,
            )

        measures = {name: lambda name=name: measure(name) for name in targets}
        return alternate(measures, rounds=options.rounds, show=str)


def conclude(options, single, few, double):
    """Print and save the ratios."""
    faster = single.ratio("service", "plain", per_second)
    cheaper = single.ratio("plain", "service", target_cpu_us)
    of_ceiling = single.ratio("service", "ceiling", per_second)
    faster_with_few = few.ratio("service", "plain", per_second)
    faster_by_two = double.ratio("service", "plain", per_second)
    scaling = double.of("service", per_second).median / single.of("service", per_second).median
    print(f"service / plain, throughput   {faster}   budget at least {LEAST_RATIO:.0f}")
    print(f"plain / service, CPU a check  {cheaper}")
    print(f"service / ceiling, throughput {of_ceiling}")
    print(f"{FEW} connections: service / plain {faster_with_few}")
    print(f"two workers: service / plain  {faster_by_two}; two workers / one {scaling:.2f}")
    save(
        "verify",
        {
            "options": vars(options),
            "one worker": as_rows(single),
            "one worker, few connections": as_rows(few),
            "two workers": as_rows(double),
            "ratios": {
                "service / plain, throughput": faster,
                "plain / service, CPU a check": cheaper,
                "service / ceiling, throughput": of_ceiling,
                "service / plain, throughput, few connections": faster_with_few,
                "service / plain, throughput, two workers": faster_by_two,
                "two workers / one, service": scaling,
            },
        },
        [
            Budget(
                what="verify throughput, one worker, over a plain FastAPI handler",
                measured=faster.median,
                spread=(faster.least, faster.most),
                least=LEAST_RATIO,
                unit="x",
            )
        ],
    )


def per_second(checks):
    """Return the throughput."""
    return checks.per_second


def target_cpu_us(checks):
    """Return the CPU time of the target per check."""
    return checks.target_cpu_us


if __name__ == "__main__":
    main()
