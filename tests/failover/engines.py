"""The engines of the fault runs, each of real processes: one server, Sentinel with two replicas, a cluster of 3 + 3.

In a network of the test's own each server has its own address, and can be cut off.
"""

import contextlib
import shutil
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from redis.exceptions import RedisError

from tests.absent import absent
from tests.failover import network
from tests.free_ports import free_port
from tests.redis_client.servers import VALKEY, Server, eventually, server

REDIS = shutil.which("redis-server")
BINARIES = {"valkey": str(VALKEY), "redis": REDIS or str(VALKEY)}
NODE_TIMEOUT_MS = 1500
READY_SECONDS = 60
PROMOTION_SECONDS = 30
SLOTS = 16384


@dataclass
class Engine:
    """Running servers, and the URL by which the service reaches them."""

    name: str
    url: str
    nodes: list[Server]
    replicas: int  # of each primary
    sentinel: Server | None = None
    behind_seconds: int = 0  # the clocks of the replicas
    spare: dict = field(default_factory=dict)

    @property
    def is_cluster(self):
        """Whether the keys are on several primaries."""
        return self.url.startswith("redis+cluster")

    def primaries(self):
        """Return the nodes that are primaries now, those of a cluster in the order of their nodes."""
        return [node for node in self.nodes if role(node) == b"master"]

    def replicas_of(self, primary):
        """Return the nodes that follow a primary now."""
        ports = {int(each["port"]) for name, each in _replication(primary).items() if name.startswith("slave")}
        return [node for node in self.nodes if node.port in ports]

    def is_healthy(self):
        """Whether every primary has all its replicas, in sync, and the cluster is well."""
        alive = [node for node in self.nodes if role(node) is not None]
        primaries = self.primaries()
        if len(alive) < len(self.nodes) or len(primaries) != len(self.nodes) // (self.replicas + 1):
            return False
        in_sync = all(_in_sync(primary) == self.replicas for primary in primaries)
        return in_sync and (not self.is_cluster or all(_is_ok(node) for node in self.nodes))

    def heal(self):
        """Undo what a fault may have left, and wait until all is well."""
        network.heal()
        for node in self.nodes:
            if node.process.poll() is not None:
                node.start()
            node.thaw()
        for node in self.nodes:
            with contextlib.suppress(RedisError):
                for name, value in (("maxmemory", 0), ("maxclients", 4000), ("min-replicas-to-write", 0)):
                    node.admin.config_set(name, value)
        self.notice_after(NODE_TIMEOUT_MS)
        eventually(self.is_healthy, seconds=READY_SECONDS)

    def notice_after(self, milliseconds):
        """Set the time after which the other servers miss a primary."""
        if self.sentinel:
            self.sentinel.admin.execute_command("SENTINEL SET", "main", "down-after-milliseconds", milliseconds)
        if self.is_cluster:
            for node in self.nodes:
                node.admin.config_set("cluster-node-timeout", milliseconds)

    def every_key(self):
        """Yield each key of the primaries with its node."""
        for node in self.primaries():
            for key in node.admin.scan_iter(count=1000):
                yield key, node


def role(node):
    """Return `master`, `slave` or, of a node that is down or frozen, None."""
    if node.process.poll() is not None:
        return None
    try:
        return node.admin.execute_command("ROLE")[0]
    except RedisError:
        return None


def _node(folder, place, *options, binary, program=(), seconds=0):
    """Return a server that is to run at an address of its own, perhaps with a wrong clock."""
    options += network.options(place)
    environment = _clock(seconds) if seconds else {}
    return server(
        folder / f"node{place}",
        *options,
        program=program,
        binary=BINARIES[binary],
        environment=environment,
        host=network.host(place),
    )


@contextlib.contextmanager
def standalone(folder: Path, binary: str):
    """Run one server that writes every command to its file before it replies."""
    with _node(folder, 0, "--appendonly", "yes", "--appendfsync", "always", binary=binary) as node:
        yield Engine("standalone", node.url, [node], 0)


@contextlib.contextmanager
def with_sentinel(folder: Path, binary: str, ahead_seconds: int = 0):
    """Run a primary with two replicas, perhaps ahead, and a Sentinel that soon misses the primary."""
    with contextlib.ExitStack() as stack:
        nodes = [
            stack.enter_context(_node(folder, place, binary=binary, seconds=seconds))
            for place, seconds in enumerate((0, ahead_seconds, ahead_seconds))
        ]
        primary, *others = nodes
        for node in others:
            node.admin.replicaof(primary.host, primary.port)
        config = folder / "sentinel.conf"
        config.write_text(
            f"sentinel monitor main {primary.host} {primary.port} 1\n"
            f"sentinel down-after-milliseconds main {NODE_TIMEOUT_MS}\nsentinel failover-timeout main 4000\n"
            "sentinel parallel-syncs main 2\n"
        )
        program = (str(config), "--sentinel")
        watcher = stack.enter_context(_node(folder, len(nodes), binary=binary, program=program))
        url = f"redis+sentinel://{watcher.host}:{watcher.port}/main"
        engine = Engine("sentinel", url, nodes, 2, watcher, max(0, -ahead_seconds))
        eventually(engine.is_healthy, seconds=READY_SECONDS)
        eventually(lambda: len(watcher.admin.execute_command("SENTINEL REPLICAS", "main")) == 2, seconds=READY_SECONDS)
        yield engine


@contextlib.contextmanager
def clustered(folder: Path, binary: str, ahead_seconds: int = 0):
    """Run a cluster of three primaries with one replica each, perhaps ahead."""
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT_MS))
    options += ("--cluster-require-full-coverage", "no", "--cluster-replica-validity-factor", "0")
    with contextlib.ExitStack() as stack:
        nodes = [
            stack.enter_context(_node(folder, each, *options, binary=binary, seconds=ahead_seconds if each > 2 else 0))
            for each in range(6)
        ]
        url = f"redis+cluster://{','.join(f'{node.host}:{node.port}' for node in nodes)}"
        engine = Engine("cluster", url, nodes, 1, behind_seconds=max(0, -ahead_seconds))
        for place, node in enumerate(nodes[:3]):
            first, last = place * SLOTS // 3, (place + 1) * SLOTS // 3 - 1
            node.admin.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
        for place, node in enumerate(nodes):
            node.admin.execute_command("CLUSTER SET-CONFIG-EPOCH", place + 1)
            if place:
                node.admin.execute_command("CLUSTER MEET", nodes[0].host, nodes[0].port)
        eventually(lambda: all(_known(node) == 6 for node in nodes), seconds=READY_SECONDS)
        for primary, replica in zip(nodes[:3], nodes[3:], strict=True):
            eventually(lambda r=replica, p=primary: _replicates(r, p), seconds=READY_SECONDS)
        eventually(engine.is_healthy, seconds=READY_SECONDS)
        yield engine


# The embedded Valkey moves slots atomically; with Redis 7 it is done by hand, key by key.
ENGINES = {
    "standalone": (standalone, "redis"),
    "sentinel": (with_sentinel, "redis"),
    "sentinel (replicas 30 s ahead)": (partial(with_sentinel, ahead_seconds=30), "valkey"),
    "sentinel (replicas 30 s behind)": (partial(with_sentinel, ahead_seconds=-30), "valkey"),
    "cluster": (clustered, "valkey"),
    "cluster (replicas 30 s ahead)": (partial(clustered, ahead_seconds=30), "valkey"),
    "cluster (replicas 30 s behind)": (partial(clustered, ahead_seconds=-30), "valkey"),
    "cluster (Redis 7)": (clustered, "redis"),
}


def _clock(seconds):
    """Return the environment of a server whose allocator loads libfaketime: the embedded Valkey."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if library is None:
        absent("there is no libfaketime here, so no clock of Redis is set wrong")
    return {"LD_PRELOAD": str(library), "FAKETIME": f"{seconds:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def dead_port():
    """Return a port at which nothing listens."""
    return free_port()


def pause(seconds):
    """Let the load go on meanwhile; faults run in a thread."""
    time.sleep(seconds)


def node_id(node):
    """Return the id of a node of a cluster."""
    return node.admin.execute_command("CLUSTER MYID").decode()


def _replication(node):
    with contextlib.suppress(RedisError):
        return node.admin.info("replication")
    return {}


def _in_sync(primary):
    return sum(
        name.startswith("slave") and name[5:].isdigit() and each["state"] == "online"
        for name, each in _replication(primary).items()
    )


def _is_ok(node):
    return node.admin.execute_command("CLUSTER INFO")["cluster_state"] == "ok"


def _known(node):
    return int(node.admin.execute_command("CLUSTER INFO")["cluster_known_nodes"])


def _replicates(replica, primary):
    with contextlib.suppress(RedisError):
        replica.admin.execute_command("CLUSTER REPLICATE", node_id(primary))
        return True
    return False
