"""The processes of a chaos run: a Redis that keeps every acknowledged write, the simulator, and two servers.

All are real processes on their own ports, started and ended by process id. Redis writes each command to its append-only
file before it responds (`appendfsync always`), so that a SIGKILL loses no acknowledged write.
"""

import asyncio
import json
import os
import random
import secrets
import socket
import sys
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from service.core.api_keys import Scope, new_api_key
from service.sandbox import SandboxSettings
from tests.attacks.processes import LIMITS, ROOT, START_SECONDS, Process
from tests.redis_client.servers import Server

SERVERS = 2
ACCOUNT = SandboxSettings()  # the default account of `otp-service sandbox`
SETTINGS = {
    "OTP_CODE_TTL": "10m",  # longer than any run: nothing expires
    "OTP_MAX_ATTEMPTS": "5",
    "OTP_MAX_SENDS": "3",
    "OTP_LIMIT_NUMBER": "4/2s,8/8s",
}
SETUP = "import tests.chaos.server_patches\n"


@dataclass
class Dependencies:
    """The dependencies of the servers, which outlive them: Redis and the simulator."""

    folder: Path
    redis: Server
    twilio: Process
    twilio_url: str

    @property
    def mutant(self):
        """The file with the broken scripts that the servers use."""
        return self.folder / "mutant"

    async def clear(self):
        """Empty both, for the next run."""
        self.redis.admin.flushall()
        async with aiohttp.ClientSession(self.twilio_url) as http:
            for path in ("/_/faults", "/_/messages"):
                async with http.delete(path) as response:
                    assert response.status == 204


@dataclass
class System:
    """Two servers with their dependencies, and, after `reset`, an API key for both."""

    dependencies: Dependencies
    settings: dict
    servers: list[Process]
    ports: list[int] = field(init=False)
    key: str = field(init=False)

    def __post_init__(self):
        self.ports = [process.port for process in self.servers]

    async def reset(self):
        """Empty the dependencies, and add an API key that both servers accept."""
        await self.dependencies.clear()
        self.key, kept = new_api_key("chaos", list(Scope))
        self.dependencies.redis.admin.hset("otp:keys", kept.digest, json.dumps(dict(kept.particulars)))

    def url(self, index):
        """Return the address of a server."""
        return f"http://127.0.0.1:{self.ports[index]}"


@contextmanager
def open_dependencies(folder):
    """Run Redis and the simulator until the block ends."""
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(SETUP)
    port, redis_port = _stable_port(), _stable_port()
    command = [sys.executable, "-m", "service", "sandbox", "--port", str(port)]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    twilio = Process(command, environment, folder / "simulator.log")
    durable = ["--port", str(redis_port), "--appendonly", "yes", "--appendfsync", "always"]
    redis = Server(folder / "redis", redis_port, durable)
    with ExitStack() as stack:
        stack.callback(redis.stop)
        stack.callback(lambda: twilio.end() if hasattr(twilio, "child") else None)
        redis.start()
        yield Dependencies(folder, redis, twilio, f"http://127.0.0.1:{port}")


@asynccontextmanager
async def open_system(dependencies, **settings):
    """Run two servers until the block ends."""
    if not hasattr(dependencies.twilio, "child"):
        await dependencies.twilio.start()
        await _wait_until_up(f"{dependencies.twilio_url}/_/stats")
    settings = SETTINGS | settings
    shared = _environment(dependencies, settings)
    processes = [_server(dependencies, index, shared) for index in range(SERVERS)]
    try:
        await asyncio.gather(*(bring_up(process) for process in processes))
        yield System(dependencies, settings, processes)
    finally:
        for process in processes:
            if hasattr(process, "child"):
                process.end()


async def bring_up(process):
    """Start a process after a kill; retry while its dependencies are unavailable, as a supervisor does."""
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while True:
        try:
            await process.start()
        except AssertionError:
            process.end()
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.2)
        else:
            return


def _environment(dependencies, settings):
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(dependencies.folder / "site"), str(ROOT)]),
        "PYTHONUNBUFFERED": "1",
        "REDIS_URL": dependencies.redis.url,
        "TWILIO_ACCOUNT_SID": ACCOUNT.account_sid,
        "TWILIO_AUTH_TOKEN": ACCOUNT.auth_token,
        "TWILIO_FROM": ACCOUNT.pool_number,
        "TWILIO_BASE_URL": dependencies.twilio_url,
        "OTP_SECRET_KEYS": secrets.token_urlsafe(32),
        "OTP_INDEX_KEY": secrets.token_urlsafe(32),
        "CHAOS_MUTANT": str(dependencies.mutant),
        **{f"OTP_LIMIT_{name}": "" for name in LIMITS},
        **settings,
    }


def _server(dependencies, index, shared):
    port = _stable_port()
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    environment = shared | {"OTP_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    return Process(command, environment, dependencies.folder / f"server-{port}-{index}.log", port)


def _stable_port():
    """Return a free port that no outgoing connection takes while its process is down."""
    while True:
        port = random.randrange(20_000, 32_000)  # below the ports that Linux assigns to outgoing connections
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


async def _wait_until_up(url):
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    async with aiohttp.ClientSession() as http:
        while True:
            try:
                async with http.get(url):
                    return
            except aiohttp.ClientError:
                assert asyncio.get_running_loop().time() < deadline, url
                await asyncio.sleep(0.05)
