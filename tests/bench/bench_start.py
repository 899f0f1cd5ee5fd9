"""Start and size: time to ready, memory of a worker, import time, installed size; each compared with the reference.

    python tests/bench/bench_start.py [--rounds 3] [--quick]

A process is ready when it responds to its first request. Memory is the resident memory of the serving process, fresh
and after some thousand checks. Import time is that of a new interpreter. Installed size is the size of the
distributions, as pip lists their files, with all their requirements: those of the service, and FastAPI with uvicorn,
uvloop, httptools and redis.
"""

import argparse
import re
import statistics
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, distribution

from checking import run_checks
from results import save
from servers import BENCH, ROOT, plain, service, valkey

SECONDS_OF_CHECKS = 1
MOST_PER_SECOND = 30_000
IMPORTS = {"service": "import service.app", "plain": "import plain"}
DISTRIBUTIONS = {"service": ["otp-service"], "plain": ["fastapi", "uvicorn", "uvloop", "httptools", "redis"]}


def main():
    """Measure all, print and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round")
    options = parser.parse_args()
    rounds = 1 if options.quick else options.rounds
    found = {"import ms": {name: import_ms(code, rounds) for name, code in IMPORTS.items()}}
    found["installed MB"] = {name: megabytes(names) for name, names in DISTRIBUTIONS.items()}
    with valkey() as redis_url:
        runs = {make.__name__: [run(make, redis_url) for _ in range(rounds)] for make in (service, plain)}
    for what in ("ready ms", "MB fresh", "MB after checks"):
        found[what] = {name: statistics.median(one[what] for one in ran) for name, ran in runs.items()}
    for what, of in found.items():
        print(f"{what:16} service {of['service']:7.0f}   plain {of['plain']:7.0f}   ratio {ratio(of):.2f}")
    save("start", found | {"ratios": {what: ratio(of) for what, of in found.items()}})


def ratio(of):
    """Return the value of the service over that of the reference."""
    return of["service"] / of["plain"]


def run(make, redis_url):
    """Start a target, measure it, run checks, measure it again."""
    started = time.monotonic()
    with make(redis_url) as target:
        ready_ms = (time.monotonic() - started) * 1000
        [fresh] = target.worker_bytes()
        run_checks(target, redis_url, seconds=SECONDS_OF_CHECKS, most_per_second=MOST_PER_SECOND)
        [used] = target.worker_bytes()
    return {"ready ms": ready_ms, "MB fresh": fresh / 1e6, "MB after checks": used / 1e6}


def import_ms(code, rounds):
    """Measure an import in new interpreters; return the median."""
    environment = {"PYTHONPATH": f"{ROOT}:{BENCH}"}
    times = []
    for _ in range(rounds + 1):  # the first one may compile bytecode
        timed = f"import time; began = time.perf_counter(); {code}; print(time.perf_counter() - began)"
        ran = subprocess.run([sys.executable, "-c", timed], env=environment, capture_output=True, text=True, check=True)
        times.append(float(ran.stdout) * 1000)
    return statistics.median(times[1:])


def megabytes(names):
    """Return the size of distributions and of all their requirements."""
    unseen, seen, size = list(names), set(), 0
    while unseen:
        name = re.sub(r"[-_.]+", "-", unseen.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = distribution(name)
        except PackageNotFoundError:  # for another platform or Python
            continue
        size += sum(file.locate().stat().st_size for file in found.files or () if file.locate().is_file())
        unseen += [re.match(r"[\w.-]+", need)[0] for need in found.requires or () if "extra ==" not in need]
    return size / 1e6


if __name__ == "__main__":
    main()
