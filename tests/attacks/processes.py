"""Service processes for tests: `otp-service` as operators start it, on its own port, ended by its process id.

A process takes its Redis, its secrets and its Twilio from a `Running` service of the same test, so that both check the
same codes and accept the same API key. Its log is one file, which includes standard error.
"""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path

import aiohttp
import redis

from tests.conftest import starter
from tests.free_ports import free_port

ROOT = Path(__file__).parents[2]
LIMITS = ("NUMBER", "FAILED_CHECKS", "IP", "PREFIX", "COUNTRY", "DAY", "PEER", "VOICE")
START_SECONDS = 30


@dataclass
class Process:
    """One process and, if it serves, an API client (`Running` of tests/conftest.py) with new connections."""

    command: list[str]
    environment: dict[str, str]
    log_file: Path
    port: int | None = None
    client: object = None
    outputs: dict = field(default_factory=dict)  # `stdout` and `stderr`, if not the log file
    child: subprocess.Popen = field(init=False)

    @property
    def log(self):
        """Return everything the process has written."""
        return self.log_file.read_text()

    async def start(self):
        """Start, or start again on the same port; when this returns, the server has responded."""
        with self.log_file.open("ab") as log:
            self.child = subprocess.Popen(  # noqa: ASYNC220 - takes milliseconds; the process must outlive this call
                self.command,
                env=self.environment,
                cwd=self.log_file.parent,
                **({"stdout": log, "stderr": log} | self.outputs),
            )
        return await self.ready()

    async def ready(self):
        """Wait until the server responds; otherwise fail with its log."""
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while self.port is not None and not await is_alive(self.port):
            assert self.child.poll() is None, self.log
            assert asyncio.get_running_loop().time() < deadline, self.log
            await asyncio.sleep(0.05)
        return self

    def kill(self):
        """End the process with SIGKILL."""
        self.child.kill()
        self.child.wait()

    def freeze(self):
        """Suspend the process (SIGSTOP)."""
        self.child.send_signal(signal.SIGSTOP)

    def thaw(self):
        """Resume a suspended process."""
        self.child.send_signal(signal.SIGCONT)

    async def stop(self, *, seconds=20):
        """End the process with SIGTERM; return its exit status."""
        self.child.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.child.wait, seconds)

    def end(self):
        """End the process, whatever its state."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGCONT)
            self.kill()


@asynccontextmanager
async def launcher(folder):
    """Yield `launch(running, command="serve", **environment)`, which starts a process; all end with the block."""
    async with AsyncExitStack() as stack:

        async def launch(
            running, command="serve", *, arguments=(), python_path=(), descriptors=None, outputs=None, **environment
        ):
            port = free_port() if command in {"serve", "demo"} else None
            words = [*command.split(), *(["--port", str(port)] if port else []), *arguments]
            process = Process(
                [*_limited(descriptors), sys.executable, "-m", "service", *words],
                environment_of(running.settings, port, python_path) | environment,
                folder / f"{command.split()[0]}-{port or os.urandom(4).hex()}.log",
                port,
                outputs=outputs or {},
            )
            if port:
                http = aiohttp.ClientSession(
                    f"http://127.0.0.1:{port}", connector=aiohttp.TCPConnector(force_close=True, limit=0)
                )
                process.client = replace(
                    running, url=f"http://127.0.0.1:{port}", http=await stack.enter_async_context(http)
                )
            stack.callback(lambda: process.end() if hasattr(process, "child") else None)
            return await process.start()

        yield launch


@asynccontextmanager
async def shared_processes(valkey, folder, number):
    """Run serving processes without a worker for all tests of a file; yield a function that returns them to a test.

    It restores their API key, which they would not look up anew at once, and forgets the messages of earlier tests.
    """
    async with starter(valkey) as start, launcher(folder) as launch:
        running = await start(otp_worker=False)
        with redis.Redis.from_url(valkey) as client:
            api_keys = client.hgetall("otp:keys")
        processes = await asyncio.gather(*(launch(running, OTP_WORKER="false") for _ in range(number)))

        def for_a_test(empty_redis):
            empty_redis.hset("otp:keys", mapping=api_keys)
            running.sandbox.ledger.forget()
            return processes

        yield for_a_test


def _limited(descriptors):
    """Prefix a command so that it may open this many files; None: the same limit as ours."""
    return [] if descriptors is None else ["sh", "-c", f'ulimit -n {descriptors} && exec "$@"', "sh"]


def environment_of(settings, port, python_path=()):
    """Write settings as the environment of a process: limits off, callbacks to its own port, nothing inherited."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([*map(str, python_path), str(ROOT)]),
        "PYTHONUNBUFFERED": "1",
        "REDIS_URL": settings.redis_url or "",
        "TWILIO_ACCOUNT_SID": settings.twilio_account_sid,
        "TWILIO_AUTH_TOKEN": ",".join(token.get_secret_value() for token in settings.twilio_auth_token),
        "TWILIO_FROM": settings.twilio_from,
        "TWILIO_BASE_URL": settings.twilio_base_url,
        "OTP_SECRET_KEYS": ",".join(key.get_secret_value() for key in settings.otp_secret_keys),
        "OTP_INDEX_KEY": settings.otp_index_key.get_secret_value(),
        "OTP_DRAIN_SECONDS": "0",
        **{f"OTP_LIMIT_{name}": "" for name in LIMITS},
    }
    return environment | ({"OTP_PUBLIC_URL": f"http://127.0.0.1:{port}"} if port else {})


async def is_alive(port):
    """Return whether a server responds on a port."""
    async with aiohttp.ClientSession() as http:
        try:
            async with http.get(f"http://127.0.0.1:{port}/livez") as response:
                return response.status == HTTPStatus.OK
        except aiohttp.ClientError:
            return False
