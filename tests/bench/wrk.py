"""Closed-loop load by wrk, a generator in C: it costs a tenth of the CPU time of a generator in Python.

    run = play(target.port, verify_requests(made), seconds=4)
    run.per_second, run.p99_us, run.generator_cpu_us

Each connection sends its next request when it has its response. The list must be long enough for the time: a request
is sent once, and an exhausted list, a failed socket or a response other than 2xx ends the bench.
"""

import json
import resource
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pending import API_KEY

_SCRIPT = Path(__file__).with_name("wrk.lua")
_TIMEOUT_SECONDS = 20


@dataclass(frozen=True)
class Run:
    """The result of one run; times in microseconds."""

    requests: int
    seconds: float
    p50_us: int
    p90_us: int
    p99_us: int
    max_us: int
    generator_cpu_us: float  # per request

    @property
    def per_second(self):
        """The number of responses per second."""
        return self.requests / self.seconds


def play(port, requests, *, seconds, connections=64, threads=1, token=API_KEY):
    """Send requests, a list of (path, body), for this number of whole seconds over keep-alive connections."""
    options = ["--threads", str(threads), "--connections", str(connections)]
    return _run(port, requests, options, [token, str(threads)], seconds=seconds)


def play_whole(port, requests, *, connections=64, token=API_KEY):
    """Send every request over at most this many connections; the run ends with the last response."""
    options = ["--threads", "1", "--connections", str(connections)]
    whole = {"WHOLE_OVER": str(connections)}
    run = _run(port, requests, options, [token, "1"], seconds=_TIMEOUT_SECONDS, environment=whole)
    if run.requests != len(requests):
        raise SystemExit(f"{len(requests)} requests were given, {run.requests} got a response")
    return run


def _run(port, requests, options, arguments, *, seconds, environment=None):
    with tempfile.NamedTemporaryFile("w", prefix="otp-bench-wrk-") as file:
        file.writelines(f"{path}\t{body}\n" for path, body in requests)
        file.flush()
        command = [
            _wrk(), *options, "--duration", f"{seconds}s", "--timeout", "10s", "--script", str(_SCRIPT),
            f"http://127.0.0.1:{port}/", "--", file.name, *arguments,
        ]  # fmt: skip
        before = _children_cpu_seconds()
        ran = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=seconds + _TIMEOUT_SECONDS, check=False
        )
        cpu_seconds = _children_cpu_seconds() - before
    return _read(ran, cpu_seconds, f"{len(requests)} requests for {seconds} s")


def _read(ran, cpu_seconds, given):
    _, _, result = ran.stdout.rpartition("JSON ")
    if ran.returncode or not result:
        raise SystemExit(f"wrk failed:\n{ran.stdout}{ran.stderr}")
    result = json.loads(result)
    if result["ran_out"]:
        raise SystemExit(f"The list is exhausted: {given} were too few.")
    if result["socket_errors"] or result["status_errors"]:
        raise SystemExit(f"The target failed: {result}")
    return Run(
        requests=result["requests"],
        seconds=result["duration_us"] / 1e6,
        **{name: result[name] for name in ("p50_us", "p90_us", "p99_us", "max_us")},
        generator_cpu_us=cpu_seconds / result["requests"] * 1e6,
    )


def _wrk():
    found = shutil.which("wrk")
    if found is None:
        raise SystemExit("wrk is missing; on Debian: apt-get install wrk")
    return found


def _children_cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
