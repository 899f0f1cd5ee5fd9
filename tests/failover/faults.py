"""The faults: each is a function of an engine that runs in a thread while clients work, and ends when it is over.

`Engine.heal` restores what a fault leaves behind.
"""

import contextlib

from redis.exceptions import RedisError

from tests.failover import network
from tests.failover.engines import PROMOTION_SECONDS, dead_port, pause, role
from tests.failover.slots import move_slots, slot_of, slots_of
from tests.redis_client.servers import eventually

FAULT_SECONDS = 4.0
FILLING = "for i = 1, 400 do redis.call('SET', ARGV[1] .. i, string.rep('x', 2000), 'EX', 60) end"


def none(_engine):
    """Do nothing: the control of the run itself."""
    pause(FAULT_SECONDS)


def kill(engine):
    """Kill a primary; it starts again when a replica has taken over, or at once if there is none."""
    primary = engine.primaries()[0]
    others = engine.replicas_of(primary)
    primary.kill()
    if others:
        _until_promoted(engine, others)
    primary.start()


def shut_down(engine):
    """Ask a primary to end, as systemd does; it starts again as after `kill`."""
    primary = engine.primaries()[0]
    others = engine.replicas_of(primary)
    primary.process.terminate()
    primary.process.wait(PROMOTION_SECONDS)
    if others:
        _until_promoted(engine, others)
    primary.start()


def stop(engine):
    """Freeze a primary until a replica has taken over, or for a while; then let it go on."""
    primary = engine.primaries()[0]
    others = engine.replicas_of(primary)
    primary.freeze()
    if others:
        _until_promoted(engine, others)
    else:
        pause(FAULT_SECONDS)
    pause(1)
    primary.thaw()


def cut(engine):
    """Cut a primary off from the other servers; clients still reach it. After a while a replica is promoted."""
    primary = engine.primaries()[0]
    others = engine.replicas_of(primary)
    engine.notice_after(int(FAULT_SECONDS * 1000))
    network.cut_off(primary)
    _until_promoted(engine, others)
    pause(1)


def take_away(engine):
    """Let nobody reach a primary, clients neither, until a replica has taken over, or for a while."""
    primary = engine.primaries()[0]
    others = engine.replicas_of(primary)
    network.take_away(primary)
    if others:
        _until_promoted(engine, others)
    else:
        pause(FAULT_SECONDS)
    pause(1)


def cut_off_replica(engine):
    """Cut a replica off from the other servers: no failover, but approvals cannot be replicated."""
    network.cut_off(engine.replicas_of(engine.primaries()[0])[0])
    pause(FAULT_SECONDS)


def planned(engine):
    """Ask for a failover."""
    primary = engine.primaries()[0]
    others = engine.replicas_of(primary)
    if engine.is_cluster:
        others[0].admin.execute_command("CLUSTER FAILOVER")
    else:
        eventually(lambda: _asked(engine.sentinel, "SENTINEL FAILOVER", "main"))
    _until_promoted(engine, others)
    pause(1)


def freeze_replica(engine):
    """Freeze a replica: no failover, but approvals cannot be replicated."""
    replica = engine.replicas_of(engine.primaries()[0])[0]
    replica.freeze()
    pause(FAULT_SECONDS)
    replica.thaw()


def flush_scripts(engine):
    """Make every node forget its scripts, ten times."""
    for _ in range(10):
        for node in engine.primaries():
            node.admin.script_flush()
        pause(FAULT_SECONDS / 10)


def kill_clients(engine):
    """Close every connection of clients, five times."""
    for _ in range(5):
        for node in engine.primaries():
            node.admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        pause(FAULT_SECONDS / 5)


def refuse_clients(engine):
    """Allow no connection beside that of this function, and close the others."""
    node = engine.primaries()[0]
    node.admin.config_set("maxclients", 1)
    node.admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    pause(FAULT_SECONDS)
    node.admin.config_set("maxclients", 4000)


def fill(engine):
    """Let a primary be full."""
    node = engine.primaries()[0]
    node.admin.config_set("maxmemory", 1)
    pause(FAULT_SECONDS)
    node.admin.config_set("maxmemory", 0)


def load(engine):
    """Restart a primary that needs seconds to load its file, and that nobody misses meanwhile."""
    engine.notice_after(int(PROMOTION_SECONDS * 1000))
    primary = engine.primaries()[0]
    tag = next(
        f"{each:x}" for each in range(16) if not engine.is_cluster or slot_of(primary, each) in slots_of(primary)
    )
    primary.admin.eval(FILLING, 0, f"otp:{{{tag}}}:loading:")
    primary.admin.config_set("rdbcompression", "no")  # or the file would load at once
    primary.admin.config_set("appendonly", "yes")
    eventually(lambda: not _is_busy(primary), seconds=PROMOTION_SECONDS)
    primary.admin.bgrewriteaof()
    eventually(lambda: not _is_busy(primary), seconds=PROMOTION_SECONDS)
    primary.kill()
    slow = ["--appendonly", "yes", "--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024"]
    primary.arguments += slow
    primary.start()
    eventually(lambda: _has_loaded(primary), seconds=PROMOTION_SECONDS)
    primary.admin.config_set("key-load-delay", 0)
    del primary.arguments[-len(slow) :]


def _has_loaded(node):
    with contextlib.suppress(RedisError):
        return not node.admin.info("persistence")["loading"]
    return False


def _is_busy(node):
    told = node.admin.info("persistence")
    return told["aof_rewrite_in_progress"] or told["aof_rewrite_scheduled"] or not told["aof_enabled"]


def refuse_writes(engine):
    """Make a server a replica of nobody, or let primaries ask for more replicas than there are."""
    if not engine.replicas:
        [node] = engine.nodes
        node.admin.replicaof("127.0.0.1", dead_port())
        pause(FAULT_SECONDS)
        node.admin.replicaof("NO", "ONE")
        return
    for node in engine.primaries():
        node.admin.config_set("min-replicas-to-write", 5)
    pause(FAULT_SECONDS)
    for node in engine.nodes:
        node.admin.config_set("min-replicas-to-write", 0)


def _until_promoted(engine, others):
    """Wait until a replica has taken over, and Sentinel says so: a primary that starts empty must not be named."""
    eventually(lambda: any(role(node) == b"master" for node in others), seconds=PROMOTION_SECONDS)
    if engine.sentinel:
        ports = {node.port for node in others}
        eventually(lambda: _named(engine.sentinel) in ports, seconds=PROMOTION_SECONDS)


def _named(sentinel):
    return int(sentinel.admin.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", "main")[1])


def _asked(node, *words):
    try:
        return node.admin.execute_command(*words)
    except RedisError:  # Sentinel does not know yet that a replica is in sync
        return False


OF_ANY = {
    "none": none,
    "scripts flushed": flush_scripts,
    "connections closed": kill_clients,
    "no more connections": refuse_clients,
    "memory full": fill,
    "writes refused": refuse_writes,
    "loading": load,
    "primary killed": kill,
    "primary shut down": shut_down,
    "primary frozen": stop,
    "primary unreachable": take_away,
}
OF_REPLICATED = {
    "replica frozen": freeze_replica,
    "replica cut off": cut_off_replica,
    "primary cut off": cut,
    "planned failover": planned,
}
OF_NETWORKS = {"primary unreachable", "replica cut off", "primary cut off"}
WRONG_CLOCKS = {"primary killed": kill, "planned failover": planned}
FAULTS = {
    "standalone": OF_ANY,
    "sentinel": OF_ANY | OF_REPLICATED,
    "cluster": OF_ANY | OF_REPLICATED | {"slots moved": move_slots},
    "sentinel (replicas 30 s ahead)": WRONG_CLOCKS,
    "sentinel (replicas 30 s behind)": WRONG_CLOCKS,
    "cluster (replicas 30 s ahead)": WRONG_CLOCKS,
    "cluster (replicas 30 s behind)": WRONG_CLOCKS,
    "cluster (Redis 7)": {"slots moved": move_slots, "primary cut off": cut},
}
