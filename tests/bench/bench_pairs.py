"""Whole logins a second, and the cost of issuing and confirming compared with the library's own calls to Twilio.

    PYTHONPATH=.:tests/bench python tests/bench/bench_pairs.py [--rounds 5] [--people 2000] [--at-once 64]

A pair is an issue, its code submitted and approved, and the report at Twilio. Twilio responds at once (fast_twilio.py,
in its own process, whose capacity is measured first), so only our own cost is measured. Each round measures in turn:
the library alone (its asynchronous client); the service without its worker (issues, then checks); `otp-service worker`
on the entries of these checks; the service with its worker, in one process and in two. Each service has its own Redis.
CPU time is read from /proc, so it is valid although all share the machine; the CPU use is shown with every rate.
"""

import argparse
import asyncio
import http.client
import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass

import servers
import uvloop
from paired import spread
from pending import add_api_key
from people import Crowd
from results import save
from wrk import play

CAPACITY_SECONDS = 2
CAPACITY_REQUESTS = 250_000
TIMEOUT_SECONDS = 30
CALLS = [(client, what) for what in ("send", "confirm") for client in ("library", "gateway")]
# The windows of the defaults, with room for thousands of people a minute: the same counters are used.
LIMITS = {
    "OTP_LIMIT_PREFIX": "1000000/1h", "OTP_LIMIT_COUNTRY": "100000000/1h", "OTP_LIMIT_DAY": "100000000/1d",
    "OTP_LIMIT_KEY": "100000000/1h",
}  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """A number of operations, the time they took, and the CPU time that each process used for them."""

    count: int
    seconds: float
    cpu_seconds: dict[str, float]

    @property
    def per_second(self):
        """Operations per second."""
        return self.count / self.seconds

    def cpu_us(self, process):
        """CPU microseconds of a process per operation."""
        return self.cpu_seconds[process] / self.count * 1e6

    def busy(self):
        """Return the fraction of a core that each process used, as text."""
        return ", ".join(f"{process} {used / self.seconds:.0%}" for process, used in self.cpu_seconds.items())


class Stage:
    """One service with its own Redis, the shared Twilio, and a crowd of people who log in."""

    def __init__(self, parts, twilio, runner, at_once, **options):
        self._twilio, self._runner, self._at_once = twilio, runner, at_once
        self.environment = LIMITS | {"TWILIO_BASE_URL": f"http://127.0.0.1:{twilio.port}"}
        self.redis_url = parts.enter_context(servers.valkey())
        add_api_key(self.redis_url)
        self._service = parts.enter_context(servers.service(self.redis_url, **options, **self.environment))
        self._crowd = Crowd(self._service.port, twilio.port)

    def issues(self, count, *, with_key=False):
        """Issue codes, and do not submit them."""
        asking = self._crowd.ask(count, at_once=self._at_once, with_key=with_key)
        return self._measure(count, service=self._service, play=lambda: self._runner.run(asking))

    def checks(self, count):
        """Submit the codes of `issues`."""
        typing = self._crowd.type_in(at_once=self._at_once)
        return self._measure(count, service=self._service, play=lambda: self._runner.run(typing))

    def logins(self, count):
        """Run logins until Twilio has the last confirmation."""
        expected = totals(self._twilio)[1] + count

        def to_the_end():
            self._runner.run(self._crowd.log_in(count, at_once=self._at_once))
            wait_until_confirmed(self._twilio, expected)

        return self._measure(count, service=self._service, play=to_the_end)

    def drain(self, count):
        """Have a worker post this number of entries; its work before it reported its start is not counted."""
        expected = totals(self._twilio)[1] + count
        with servers.worker(self.redis_url, **self.environment) as worker:
            left = expected - totals(self._twilio)[1]
            return self._measure(left, worker=worker, play=lambda: wait_until_confirmed(self._twilio, expected))

    def _measure(self, count, *, play, **process):
        clocks = {name: target.cpu_seconds for name, target in process.items()}
        clocks |= {"redis": lambda: servers.redis_cpu_seconds(self.redis_url), "twilio": self._twilio.cpu_seconds}
        clocks["generator"] = time.process_time
        before, started = {name: clock() for name, clock in clocks.items()}, time.perf_counter()
        play()
        seconds = time.perf_counter() - started
        return Reading(count, seconds, {name: clock() - before[name] for name, clock in clocks.items()})


def totals(twilio):
    """Return from the simulator: messages, posts of feedback, SIDs that have feedback."""
    connection = http.client.HTTPConnection("127.0.0.1", twilio.port, timeout=5)
    connection.request("GET", "/totals")
    taken = json.loads(connection.getresponse().read())
    connection.close()
    return taken


def wait_until_confirmed(twilio, posts):
    """Wait until the simulator has this number of posts of feedback."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while totals(twilio)[1] < posts:
        if time.monotonic() > deadline:
            raise SystemExit(f"Twilio got {totals(twilio)[1]} of {posts} confirmations")
        time.sleep(0.01)


def capacity(twilio):
    """Measure the capacity of the simulator with wrk: (requests per second, its CPU microseconds per request)."""
    body = "To=%2B14155550123&Body=Your+Acme+code+is+123456.+Do+not+share+it.&From=%2B15005550006&ProvideFeedback=true"
    requests = [("/2010-04-01/Accounts/AC/Messages.json", body)] * CAPACITY_REQUESTS
    before = twilio.cpu_seconds()
    run = play(twilio.port, requests, seconds=CAPACITY_SECONDS)
    return run.per_second, (twilio.cpu_seconds() - before) / run.requests * 1e6


def alone(twilio, client, what, calls, in_flight):
    """Measure the calls to Twilio by themselves, in a separate process; return CPU microseconds per call."""
    base_url = f"http://127.0.0.1:{twilio.port}"
    command = [
        sys.executable,
        str(servers.BENCH / "library_alone.py"),
        base_url,
        client,
        what,
        str(calls),
        str(in_flight),
    ]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{servers.ROOT}:{servers.BENCH}"}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(ran.stdout)["cpu_us"]


def play_round(options, twilio, apart, pairs):
    """Measure everything once; return the readings by name."""
    readings = {
        f"{client} {what}": alone(twilio, client, what, options.people // 2, options.at_once) for client, what in CALLS
    }
    readings["issue"] = apart.issues(options.people)
    readings["issue with key"] = apart.issues(options.people // 4, with_key=True)
    entries = options.people + options.people // 4
    readings["check"] = apart.checks(entries)
    readings["drain"] = apart.drain(entries)
    for name, stage in pairs.items():
        readings[name] = stage.logins(options.people)
    return readings


def report(rounds):
    """Print the summary of the rounds, and return it as rows."""
    rows = {name: spread(one[name] for one in rounds) for name in (f"{client} {what}" for client, what in CALLS)}
    costs = {"issue": "service", "issue with key": "service", "check": "service", "drain": "worker"}
    for name, process in costs.items():
        rows[f"{name} CPU us"] = spread(one[name].cpu_us(process) for one in rounds)
        rows[f"{name} Redis CPU us"] = spread(one[name].cpu_us("redis") for one in rounds)
    for name, process, call in (("issue", "service", "library send"), ("drain", "worker", "library confirm")):
        own = [one[name].cpu_us(process) - one[call] for one in rounds]
        rows[f"{name} ours on top us"] = spread(own)
        rows[f"{name} ours over library"] = spread(us / one[call] for us, one in zip(own, rounds, strict=True))
    for name in ("one process", "two processes", "issue", "check", "drain"):
        rows[f"{name} per second"] = spread(one[name].per_second for one in rounds)
    for name, row in rows.items():
        print(f"{name:24} {row}")
    for name in ("one process", "two processes", "drain"):
        print(f"{name:24} busy, of a core: {rounds[-1][name].busy()}")
    return rows


def main():
    """Measure in rounds, print, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds; one more warms up")
    parser.add_argument("--people", type=int, default=2000, help="logins of each measurement")
    parser.add_argument("--at-once", type=int, default=64, help="people who wait for a response at the same time")
    options = parser.parse_args()
    with ExitStack() as parts:
        runner = parts.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        command = [sys.executable, str(servers.BENCH / "fast_twilio.py")]
        twilio = parts.enter_context(servers._run("twilio", lambda port: [*command, str(port)], {}, times=0))
        most, cost_us = capacity(twilio)
        print(f"simulator of Twilio: {most:.0f} requests/s at most, {cost_us:.0f} us CPU each")
        apart = Stage(parts, twilio, runner, options.at_once, worker=False)
        pairs = {
            name: Stage(parts, twilio, runner, options.at_once, worker=True, workers=workers)
            for name, workers in (("one process", 1), ("two processes", 2))
        }
        rounds = []
        for number in range(options.rounds + 1):
            rounds.append(play_round(options, twilio, apart, pairs))
            print(f"round {number}: {rounds[-1]['one process'].per_second:.0f} logins/s", flush=True)
        rows = report(rounds[1:])
        messages, posts, distinct = totals(twilio)
        if posts != distinct:
            raise SystemExit(f"Twilio took {posts} reports of {distinct} messages: some were confirmed twice")
        print(f"Twilio took {messages} messages and {posts} reports, each of another message")
    save("pairs", {"simulator per second": most, "simulator CPU us": cost_us, **rows, "rounds": rounds})


if __name__ == "__main__":
    main()
