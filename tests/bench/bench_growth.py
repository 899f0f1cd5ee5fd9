"""Growth: throughput and memory of checks with a million pending verifications, compared with a thousand.

    python tests/bench/bench_growth.py [--largest 1000000] [--rounds 5] [--quick]

Two Redis side by side, each with its own service, measured in turn. The small one always holds a thousand: a batch
checks all of them, then they are replaced. The full one grows by factors of ten; a batch checks a thousand, drawn at
random from all that it holds, and the same number of new ones replaces them. Everything else is the same.
"""

import argparse
import random
import time
from contextlib import ExitStack
from dataclasses import dataclass

import redis
from checking import as_rows
from paired import alternate
from pending import approved_count, forget, forget_all, make_pending, verify_requests
from results import Budget, save
from servers import redis_cpu_seconds, service, valkey
from wrk import play_whole

from service.store import keys as redis_keys

SMALLEST, LARGEST = 1_000, 1_000_000
BATCH = SMALLEST
LEAST_RATIO = 0.9
TELL_EACH = 100_000
SAMPLE = 1_000
CONNECTIONS = 128  # a busy worker, as in bench_verify.py


@dataclass(frozen=True)
class Reading:
    """The result of some batches."""

    per_second: float
    target_cpu_us: float
    redis_cpu_us: float

    def __str__(self):
        cost = f"target {self.target_cpu_us:4.0f}, Redis {self.redis_cpu_us:3.0f}"
        return f"{self.per_second:7,.0f} checks/s   CPU us a check: {cost}"


def main():
    """Fill, measure in turn, fill further; save the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--largest", type=int, default=LARGEST)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=20, help=f"of {BATCH} checks each, in a reading")
    parser.add_argument("--quick", action="store_true", help="a tenth of the size, fewer rounds: a first impression")
    options = parser.parse_args()
    if options.quick:
        options.largest, options.rounds, options.batches = options.largest // 10, 2, 10
    with ExitStack() as running:
        small, full = (FilledRedis(running.enter_context(valkey())) for _ in range(2))
        targets = {held: running.enter_context(service(held.redis_url)) for held in (small, full)}
        steps = []
        for size in sizes_up_to(options.largest):
            full.fill(size)
            measures = {
                "small": lambda: measure(targets[small], small.redis_url, options.batches, small.replace_all),
                "full": lambda: measure(targets[full], full.redis_url, options.batches, full.replace_sample),
            }
            steps.append((full.account(), alternate(measures, rounds=options.rounds, show=str)))
    conclude(options, steps)


def sizes_up_to(largest):
    """Return ten times the smallest size, ten times that, …, and the largest."""
    sizes = [largest]
    while sizes[0] > 10 * SMALLEST:
        sizes.insert(0, sizes[0] // 10)
    return sizes


class FilledRedis:
    """A Redis and the verifications that are pending in it."""

    def __init__(self, redis_url):
        self.redis_url = redis_url
        self._pending = []
        self._empty_bytes = self._query(lambda client: client.info("memory")["used_memory"])

    def fill(self, count):
        """Grow to this number of pending verifications."""
        held, started = len(self._pending), time.monotonic()

        def show_progress(made):
            if (held + made) % TELL_EACH == 0:
                print(f"  {held + made:9,} pending after {time.monotonic() - started:4.0f} s", flush=True)

        self._pending += make_pending(self.redis_url, count - held, show_progress=show_progress)
        self._fragment()

    def _fragment(self):
        """Replace half of the verifications: the memory of a Redis in use is not in the order of writing."""
        for _ in range(len(self._pending) // 2 // BATCH):
            forget(self.redis_url, self.replace_sample())

    def account(self):
        """Return and print the number of verifications and the memory that they use."""
        names = [redis_keys.verification(one.id) for one in random.sample(self._pending, SAMPLE)]
        sizes = self._query(lambda client: [client.memory_usage(name, samples=0) for name in names])
        used = self._query(lambda client: client.info("memory")["used_memory"]) - self._empty_bytes
        count = len(self._pending)
        figures = {
            "pending": count,
            "keys": self._query(lambda client: client.dbsize()),
            "bytes each, number and all": used / count,
            "bytes of one record, mean": sum(sizes) / SAMPLE,
            "bytes of one record, most": max(sizes),
        }
        print(f"  {figures}", flush=True)
        return figures

    def replace_all(self):
        """Remove everything, and return a new batch, which is all that is held."""
        forget_all(self.redis_url)
        return make_pending(self.redis_url, BATCH)

    def replace_sample(self):
        """Return a random batch of the verifications held, and replace it by the same number of new ones."""
        places = random.sample(range(len(self._pending)), BATCH)
        batch = [self._pending[place] for place in places]
        for place, new in zip(places, make_pending(self.redis_url, BATCH), strict=True):
            self._pending[place] = new
        return batch

    def _query(self, question):
        with redis.Redis.from_url(self.redis_url) as client:
            return question(client)


def measure(target, redis_url, batches, next_batch):
    """Check some batches completely; count only the time in which checks were running."""
    seconds = target_seconds = redis_seconds = 0.0
    for _ in range(batches):
        made = next_batch()
        approved = approved_count(redis_url)
        target_before, redis_before = target.cpu_seconds(), redis_cpu_seconds(redis_url)
        seconds += play_whole(target.port, verify_requests(made), connections=CONNECTIONS).seconds
        target_seconds += target.cpu_seconds() - target_before
        redis_seconds += redis_cpu_seconds(redis_url) - redis_before
        if approved_count(redis_url) - approved != BATCH:
            raise SystemExit(f"{approved_count(redis_url) - approved} of {BATCH} checks were approved")
        forget(redis_url, made)
    checks = batches * BATCH
    return Reading(checks / seconds, target_seconds / checks * 1e6, redis_seconds / checks * 1e6)


def conclude(options, steps):
    """Print and save the ratios."""
    rows, ratio = [], None
    for account, compared in steps:
        ratio = compared.ratio("full", "small", lambda reading: reading.per_second)
        cost = compared.ratio("full", "small", lambda reading: reading.redis_cpu_us)
        rows.append({"held": account, "readings": as_rows(compared), "throughput": ratio, "Redis CPU": cost})
        print(f"{account['pending']:9,} pending / {SMALLEST:,}: throughput {ratio}, Redis CPU a check {cost}")
    what = f"verify throughput at {options.largest:,} pending, over that at {SMALLEST:,}"
    budget = Budget(what=what, measured=ratio.median, spread=(ratio.least, ratio.most), least=LEAST_RATIO, unit="x")
    save("growth", {"options": vars(options), "smallest": SMALLEST, "sizes": rows}, [budget])


if __name__ == "__main__":
    main()
