"""Checks per second compared with other software that verifies codes: django-phone-verify and better-auth.

    PYTHONPATH=.:tests/bench python tests/bench/bench_peers.py [--workers 1 2] [--rounds 3] [--seconds 3]

Each target checks right codes, each code once, over HTTP: closed loop by wrk, 64 connections, in turn with our service
and the plain reference, on the same machine. Peers come from their registries; a peer that cannot be installed is left
out, with a message. No result here is a budget. Each peer runs as its documentation recommends for production, in the
fastest of the configurations that were tried; none sends anything.

django-phone-verify: gunicorn's sync workers (gthread and uvicorn were slower); SQLite with a write-ahead log
(PostgreSQL over a Unix socket was a fifth slower). Left out in its favour: middleware, authentication, the rate limits
that its checklist asks for. Added: an index, because it looks up (number, session) without one. A check is a SELECT and
an UPDATE. It guarantees: codes of ten minutes; five failed checks, counted after the comparison; each code once, but
read and written separately and without a lock: of two simultaneous checks both passed, three times in four. The code is
stored in plain text.

better-auth: its endpoint `/phone-number/verify` by toNodeHandler on Node, with node:cluster for two processes; codes
in Redis (its "secondary storage"; in SQLite or PostgreSQL it was half as fast), users in SQLite by node:sqlite. No
session is created (`disableSession`); its rate limiter is off, because it would refuse the load: ten a minute from one
address. A check is GET and GETDEL, then a SELECT and an UPDATE of the user. It guarantees: codes of five minutes, here
ten; three wrong codes, counted by taking the code out and writing it again; each code once, by GETDEL, but a process
that dies before it writes the user loses the approval. The code is stored in plain text.

better-auth consume: its server-only call `consumePhoneNumberOTP` in the shortest possible handler: GET and GETDEL. No
credentials, no log, and of an approval nothing is kept but the response.

Our service, on every check: an API key, the HMAC of the code, one script that counts, compares, consumes, and writes
the outbox entry, the statistics and the record that answers later requests; and a line of log.
"""

import argparse
import functools
from contextlib import ExitStack

from checking import CONNECTIONS, Checks, as_rows, run_checks
from paired import alternate
from peers.installing import NotInstallable
from peers.targets import FROM_NPM, FROM_PYPI, better_auth, better_auth_consume, django_phone_verify
from pending import forget_all
from results import load, save
from servers import plain, redis_cpu_seconds, service, valkey
from wrk import play

OURS = {"service": service, "plain": plain}
PEERS = {
    "django-phone-verify": django_phone_verify,
    "better-auth": better_auth,
    "better-auth consume": better_auth_consume,
}
WARM_UP_ROUNDS = 2  # Node still compiles in the second
# More than any of them can check: the bench ends if the list is exhausted.
MOST_PER_SECOND = {
    "service": 20_000,
    "plain": 10_000,
    "django-phone-verify": 2_500,
    "better-auth": 5_000,
    "better-auth consume": 26_000,
}


def main():
    """Measure with each number of workers; print and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="processes of each target, one run each")
    parser.add_argument("--rounds", type=int, default=3, help=f"measured rounds; {WARM_UP_ROUNDS} more warm up")
    parser.add_argument("--seconds", type=int, default=3, help="how long each target is loaded in a round")
    options = parser.parse_args()
    for workers in options.workers:
        print(f"workers: {workers}")
        compared = compare(options, workers)
        if len(compared.readings) == len(OURS):
            print("No peer could be installed: there is nothing to compare with.")
            return
        conclude(compared, workers)


def compare(options, workers):
    """Run all targets side by side and measure them in turn."""
    with valkey() as redis_url, ExitStack() as running:
        measures = {}
        for name, make in OURS.items():
            target = running.enter_context(make(redis_url, workers=workers))
            measures[name] = functools.partial(measure_ours, target, redis_url, seconds=options.seconds)
        for name, make in PEERS.items():
            try:
                peer = running.enter_context(make(redis_url, workers=workers))
            except NotInstallable as reason:
                print(f"{name} is left out: {reason}")
                continue
            measures[name] = functools.partial(
                measure, peer, redis_url, seconds=options.seconds, most=options.seconds * MOST_PER_SECOND[name]
            )
        return alternate(measures, rounds=options.rounds, show=str, warm_up=WARM_UP_ROUNDS)


def measure_ours(target, redis_url, *, seconds):
    """Measure one of ours, each time with the same Redis: accumulated records would make it slower."""
    forget_all(redis_url)
    return run_checks(target, redis_url, seconds=seconds, most_per_second=MOST_PER_SECOND[target.name])


def measure(peer, redis_url, *, seconds, most):
    """Have codes made, check them for this number of seconds, and verify that each was approved."""
    requests = peer.requests(most)
    waiting, cpu, redis_cpu = peer.waiting(), peer.target.cpu_seconds(), redis_cpu_seconds(redis_url)
    run = play(peer.target.port, requests, seconds=seconds, connections=CONNECTIONS)
    cpu, redis_cpu = peer.target.cpu_seconds() - cpu, redis_cpu_seconds(redis_url) - redis_cpu
    approved = waiting - peer.waiting()
    if not run.requests <= approved <= run.requests + CONNECTIONS:  # wrk does not count requests that its end cut off
        raise SystemExit(f"{peer.target.name}: {run.requests} checks got a response, {approved} were approved")
    return Checks(
        per_second=run.per_second,
        p50_us=run.p50_us,
        p99_us=run.p99_us,
        target_cpu_us=cpu / approved * 1e6,
        redis_cpu_us=redis_cpu / approved * 1e6,
        generator_cpu_us=run.generator_cpu_us,
    )


def conclude(compared, workers):
    """Print the summary, and save it with those for other numbers of workers."""
    rows = {name: summary(compared, name) for name in compared.readings}
    print(f"{'':20}" + "".join(f"{column:>26}" for column in rows["service"]))
    for name, row in rows.items():
        print(f"{name:20}" + "".join(f"{short(spread):>26}" for spread in row.values()))
    kept = (load("peers") or {"rows": {}})["rows"]
    versions = {"pypi": FROM_PYPI, "npm": FROM_NPM}
    section = {"summary": rows, "readings": as_rows(compared)}
    save("peers", kept | {"versions": versions, f"{workers} worker{'s' * (workers > 1)}": section})


def summary(compared, name):
    """Return the spreads of one target."""

    def per_second(checks):
        return checks.per_second

    return {
        "checks/s": compared.of(name, per_second),
        "of plain": compared.ratio(name, "plain", per_second),
        "ours over it": compared.ratio("service", name, per_second),
        "CPU us a check": compared.of(name, lambda checks: checks.target_cpu_us),
    }


def short(spread):
    """Format a spread with few digits."""
    places = 2 if spread.median < 100 else 0
    median, least, most = (f"{value:,.{places}f}" for value in (spread.median, spread.least, spread.most))
    return f"{median} ({least} to {most})"


if __name__ == "__main__":
    main()
