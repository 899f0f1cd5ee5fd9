"""Verify throughput of one worker, as a ratio to the plain handler of `plain.py`: same machine, same run, in turn.

    PYTHONPATH=.:tests/bench python tests/bench/bench_verify.py [--rounds 5] [--checks 6000] [--connections 64]

Each check is the right code of a pending verification of its own, so each one approves and owes. The
generator shares the machine with the server, so beside the throughput stands what one check costs the
server in CPU time (Linux): the ratio of those is the ratio of what one busy worker could do.
"""

import argparse
import asyncio
import os
import pathlib
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from load import post, run_load

from service.adapters.embedded import embedded_valkey
from service.adapters.multiplexer import open_multiplexer
from service.adapters.redis_ledgers import RedisApiKeys
from service.adapters.redis_store import RecordPolicy, RedisVerifications
from service.adapters.scripts import Scripts
from service.api.keys import Scope, new_api_key
from service.core.keyring import Keyring
from service.core.limits import UNLIMITED
from service.core.ports import NewVerification
from service.core.verification import Action, Channel, Delivery, new_id

KEY, KEPT = new_api_key("bench", [Scope.VERIFICATIONS])
PORTS = {"service": 8951, "plain": 8952}


def serve(name, target, environment):
    """Start one uvicorn worker in a process of its own and wait until it answers."""
    command = [sys.executable, "-m", "uvicorn", target, "--factory", "--port", str(PORTS[name]), "--log-level", "error",
               "--no-access-log", "--no-proxy-headers", "--no-server-header",
               "--loop", "uvloop", "--http", "httptools"]  # fmt: skip
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, cwd=pathlib.Path(__file__).parents[2]
    )
    for _ in range(200):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORTS[name]}/openapi.json", timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return process
    raise SystemExit(f"{name} did not start")


async def pending(redis_url, keyring, count):
    """Write pending verifications with a SID; give (id, code) of each."""
    multiplexer = await open_multiplexer(redis_url)
    scripts = Scripts(multiplexer)
    store = RedisVerifications(scripts, keyring, RecordPolicy(3600, 5, 5, False, UNLIMITED, UNLIMITED, 100))
    await RedisApiKeys(scripts).add(KEPT.digest, KEPT.particulars)
    made = []

    async def one(number):
        to = f"+1415555{number:04d}"
        verification_id, code = new_id(keyring.partition(to)), f"{secrets.randbelow(10**6):06d}"
        new = NewVerification(
            verification_id, to, "US", Channel.SMS, Action.CODE, "login", "en", None, 6, 600, None, None,
            owner=KEPT.owner_tag,
        )  # fmt: skip
        await store.issue(new, keyring.code_digests(verification_id, code)[0])
        await store.deliver(verification_id, 1, sid="SM" + secrets.token_hex(16), status=Delivery.QUEUED)
        made.append((verification_id, code))

    for start in range(0, count, 200):
        await asyncio.gather(*(one(number % 10_000) for number in range(start, min(count, start + 200))))
    await multiplexer.close()
    return made


async def measure(name, redis_url, keyring, checks, connections):
    """Run one round; give requests per second and the latencies."""
    made = await pending(redis_url, keyring, checks)
    requests = [post(f"/v1/verifications/{i}/verify", f'{{"code":"{code}"}}', token=KEY) for i, code in made]
    per_second, latencies, statuses = await run_load(PORTS[name], requests, connections=connections)
    if statuses != {200: checks}:
        raise SystemExit(f"{name} answered {statuses}")
    return per_second, latencies


def main():
    """Measure in turn, A B A B …; print every round, then medians and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--checks", type=int, default=6000)
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    secret, index = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    keyring = Keyring([secret.encode()], index.encode())
    with tempfile.TemporaryDirectory() as folder, embedded_valkey(pathlib.Path(folder)) as redis_url:
        environment = {
            **os.environ, "REDIS_URL": redis_url, "OTP_WORKER": "false",
            "OTP_SECRET_KEYS": secret, "OTP_INDEX_KEY": index,
            "TWILIO_ACCOUNT_SID": "AC" + "0" * 32, "TWILIO_AUTH_TOKEN": "bench", "TWILIO_FROM": "+15005550006",
            "TWILIO_BASE_URL": "http://127.0.0.1:9", "OTP_LIMIT_FAILED_CHECKS": "",
        }  # fmt: skip
        targets = {"service": "service.app:create_app", "plain": "plain:create"}
        processes = {name: serve(name, target, environment) for name, target in targets.items()}
        try:
            report(options, redis_url, keyring, processes)
        finally:
            for process in processes.values():
                process.terminate()
                process.wait()


def cpu_seconds(process):
    """Read how much CPU time a process has used."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def report(options, redis_url, keyring, processes):
    """Print the rounds and what they come to."""
    rates, costs = {"service": [], "plain": []}, {"service": [], "plain": []}
    for number in range(options.rounds + 1):
        for name, measured in rates.items():
            before = cpu_seconds(processes[name])
            per_second, latencies = asyncio.run(measure(name, redis_url, keyring, options.checks, options.connections))
            cost_us = (cpu_seconds(processes[name]) - before) / options.checks * 1e6
            if number:  # the first round warms up
                measured.append(per_second)
                costs[name].append(cost_us)
                p50, p99 = latencies[len(latencies) // 2] * 1000, latencies[int(len(latencies) * 0.99)] * 1000
                speed = f"{per_second:7.0f} checks/s   p50 {p50:5.1f} ms   p99 {p99:5.1f} ms"
                print(f"{name:8} {speed}   CPU {cost_us:4.0f} us", flush=True)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    ratio = medians["service"] / medians["plain"]
    print(f"median   service {medians['service']:.0f}/s, plain {medians['plain']:.0f}/s, ratio {ratio:.2f}")
    cpu = {name: statistics.median(values) for name, values in costs.items()}
    ratio = cpu["plain"] / cpu["service"]
    print(f"CPU      service {cpu['service']:.0f} us, plain {cpu['plain']:.0f} us a check, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
