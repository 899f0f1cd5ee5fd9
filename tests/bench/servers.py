"""The targets of the benches, each in its own process on loopback: started, awaited, measured, stopped.

    with valkey() as redis_url, service(redis_url) as target:
        before = target.cpu_seconds()

`service` is the real command with all its promises on: credentials, log at info level into a file. `plain` is the
reference (plain.py), `ceiling` the highest throughput of Python (ceiling.py). All share one Redis and one set of keys,
so that each can check the same verifications. The cost of a process is read from /proc: benches run on Linux.
"""

import contextlib
import http.client
import os
import secrets
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from service.core.keyring import Keyring
from service.embedded.server import embedded_valkey
from tests.free_ports import free_port

BENCH = Path(__file__).parent
ROOT = BENCH.parents[1]
SECRET_KEY, INDEX_KEY = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
KEYRING = Keyring([SECRET_KEY.encode()], INDEX_KEY.encode())
ACCOUNT_SID, AUTH_TOKEN, FROM = "AC" + "5a" * 16, "sandbox-auth-token", "+15005550006"  # those of the simulator
UNREACHABLE_URL = "http://127.0.0.1:9"  # a Twilio that refuses every connection

_START_SECONDS = 30
_STOP_SECONDS = 20
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Target:
    """One running server with all its workers."""

    name: str
    port: int
    process: subprocess.Popen
    log_file: Path

    def cpu_seconds(self):
        """Return how much CPU time it has used, with all its children."""
        return cpu_seconds(self.process.pid)

    def resident_bytes(self):
        """Return how much memory it holds, with all its children."""
        return sum(resident_bytes(pid) for pid in process_tree(self.process.pid))

    def worker_bytes(self):
        """Return the memory of each serving process: of the children with several workers, else of the process."""
        workers = [pid for pid in process_tree(self.process.pid)[1:] if b"spawn_main" in _command_line(pid)]
        return [resident_bytes(pid) for pid in workers or [self.process.pid]]


@contextlib.contextmanager
def valkey():
    """Run an append-only Valkey on a temporary folder; return its URL.

    By default the embedded one; with BENCH_REDIS, the redis-server or valkey-server that it names, whose allocator
    makes it faster than the build of the wheel.
    """
    other = os.environ.get("BENCH_REDIS")
    with (
        tempfile.TemporaryDirectory(prefix="otp-bench-") as folder,
        _other_valkey(other, Path(folder)) if other else embedded_valkey(Path(folder)) as url,
    ):
        with redis.Redis.from_url(url) as client:
            # When the file has doubled, a second process rewrites it, which would take a core from one reading and not
            # from the other.
            client.config_set("auto-aof-rewrite-percentage", 0)
        yield url


@contextlib.contextmanager
def _other_valkey(binary, folder):
    options = {"port": "0", "unixsocket": folder / "x.sock", "dir": folder, "logfile": folder / "log"}
    options |= {"appendonly": "yes", "appendfsync": "everysec", "save": "", "maxmemory-policy": "noeviction"}
    process = subprocess.Popen([binary, *(str(word) for name in options for word in (f"--{name}", options[name]))])
    url = f"unix://{folder / 'x.sock'}"
    try:
        with redis.Redis.from_url(url, retry=Retry(ConstantBackoff(0.05), _START_SECONDS * 20)) as client:
            client.ping()
        yield url
    finally:
        _stop(process)


def service(redis_url, *, workers=1, worker=False, name="service", **env):
    """Run `otp-service serve`; `env` adds settings, such as TWILIO_BASE_URL."""
    environment = environment_of(redis_url) | {"OTP_WORKER": str(worker).lower()} | env

    def command(port):
        return [_installed("otp-service"), "serve", "--port", str(port), "--workers", str(workers)]

    return _run(name, command, environment, ready="service_started", times=workers)


def worker(redis_url, *, name="worker", **env):
    """Run `otp-service worker`, which has no port."""
    command = [_installed("otp-service"), "worker"]
    return _run(name, lambda _: command, environment_of(redis_url) | env, ready="worker_started", times=1)


def sandbox():
    """Run `otp-service sandbox`, the simulator of Twilio."""
    return _run("sandbox", lambda port: [_installed("otp-service"), "sandbox", "--port", str(port)], {}, times=0)


def fast_twilio():
    """Run fast_twilio.py, a Twilio that accepts everything at very low cost."""
    return _run("fast_twilio", lambda port: [sys.executable, str(BENCH / "fast_twilio.py"), str(port)], {}, times=0)


def plain(redis_url, *, workers=1):
    """Run the reference, a plain FastAPI handler."""
    return uvicorn("plain", "plain:create", redis_url, workers=workers)


def ceiling(redis_url, *, workers=1):
    """Run the upper bound for Python: no framework, no credentials, no log."""
    return uvicorn("ceiling", "ceiling:create", redis_url, workers=workers)


def uvicorn(name, factory, redis_url, *, workers=1):
    """Run an ASGI application of this folder under uvicorn with uvloop and httptools."""
    options = ["--factory", "--no-access-log", "--no-proxy-headers", "--loop", "uvloop", "--http", "httptools"]

    def command(port):
        return [_installed("uvicorn"), factory, *options, "--port", str(port), "--workers", str(workers)]

    return _run(name, command, environment_of(redis_url), ready="Application startup complete", times=workers)


def environment_of(redis_url):
    """Return the settings that all targets share; only PATH is passed on from the caller's environment."""
    return {
        "REDIS_URL": redis_url,
        "OTP_SECRET_KEYS": SECRET_KEY,
        "OTP_INDEX_KEY": INDEX_KEY,
        "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
        "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
        "TWILIO_FROM": FROM,
        "TWILIO_BASE_URL": UNREACHABLE_URL,
        "OTP_DRAIN_SECONDS": "0",
    }


def _installed(program):
    """Return the path of a program in the environment that runs this bench."""
    return str(Path(sys.executable).parent / program)


@contextlib.contextmanager
def _run(name, command, environment, *, ready="", times=1):
    """Run a process until the block ends; it is ready when its log says so `times` times and its port responds."""
    port = free_port()
    inherited = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{BENCH}"}
    # In its own folder, so that it reads no `.env` of the caller.
    with tempfile.TemporaryDirectory(prefix=f"otp-bench-{name}-") as folder:
        log_file = Path(folder) / "log"
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                command(port), env=inherited | environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT
            )
        target = Target(name, port, process, log_file)
        try:
            _wait(target, ready, times, has_port=name != "worker")
            yield target
        finally:
            _stop(process)


def _wait(target, ready, times, *, has_port):
    deadline = time.monotonic() + _START_SECONDS
    while target.log_file.read_text().count(ready) < times or (has_port and not _answers(target.port)):
        if target.process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"{target.name} did not start:\n{target.log_file.read_text()}")
        time.sleep(0.02)


def _answers(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/livez")  # any response is enough
        return connection.getresponse().status > 0
    return False


def _stop(process):
    children = process_tree(process.pid)[1:]
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        for pid in children:  # our orphans: they would disturb the next measurement
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)


# --- The cost of a process -------------------------------------------------------------------------


def process_tree(pid):
    """Return a process and all its descendants, itself first; an empty list if it has ended."""
    members, unseen = [], [pid]
    while unseen:
        one = unseen.pop()
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                unseen += map(int, (task / "children").read_text().split())
            members.append(one)
    return members


def cpu_seconds(pid):
    """Return the CPU time of a process and all its children, ended ones included, in user and system mode."""
    ticks = 0
    for one in process_tree(pid):
        with contextlib.suppress(OSError):
            ticks += sum(map(int, Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return ticks / _TICKS_PER_SECOND


def resident_bytes(pid):
    """Return how much memory one process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES


def redis_cpu_seconds(redis_url):
    """Return how much CPU time Redis has used, all its threads."""
    with redis.Redis.from_url(redis_url) as client:
        info = client.info("cpu")
    return info["used_cpu_user"] + info["used_cpu_sys"]


def _command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
