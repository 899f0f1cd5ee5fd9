"""The faults: each is a function of an engine that runs in a thread while clients work, and ends when it is over.

`Engine.heal` restores what a fault leaves behind.
"""

from redis.exceptions import RedisError, ResponseError

from tests.failover.engines import dead_port, isolate, node_id, pause, role
from tests.redis_client.servers import eventually

FAULT_SECONDS = 4.0
PROMOTION_SECONDS = 30


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
    """Cut a primary off from its replicas; clients still reach it. After a while a replica is promoted."""
    primary = engine.primaries()[0]
    others = engine.replicas_of(primary)
    if engine.is_cluster:
        isolate(primary)
        pause(FAULT_SECONDS)
        others[0].admin.execute_command("CLUSTER FAILOVER", "TAKEOVER")
    else:
        engine.sentinel.admin.execute_command("SENTINEL SET", "main", "down-after-milliseconds", 4000)
        isolate(primary)
    _until_promoted(engine, others)
    if engine.sentinel:
        engine.sentinel.admin.execute_command("SENTINEL SET", "main", "down-after-milliseconds", 1000)
    pause(1)


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
    """Restart a server that needs seconds to load its file."""
    [node] = engine.nodes
    node.admin.eval("for i = 1, 400 do redis.call('SET', 'otp:loading:' .. i, string.rep('x', 2000), 'EX', 60) end", 0)
    node.admin.config_set("rdbcompression", "no")  # or the file would load at once
    node.admin.bgrewriteaof()
    eventually(lambda: not node.admin.info("persistence")["aof_rewrite_in_progress"], seconds=PROMOTION_SECONDS)
    node.kill()
    node.arguments += ["--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024"]
    node.start()
    eventually(lambda: role(node) == b"master", seconds=PROMOTION_SECONDS)
    del node.arguments[-4:]


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


def move_slots(engine):
    """Move the slots of all partitions of a primary to another one, and back: atomically if the servers can."""
    source, target = engine.primaries()[:2]
    for one, other in ((source, target), (target, source)):
        for slot in engine.spare.setdefault("slots", _partitions_of(source)):
            _move(engine, slot, one, other)
            pause(0.2)


def _move(engine, slot, source, target):
    source_id, target_id = node_id(source), node_id(target)
    try:
        source.admin.execute_command("CLUSTER MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", target_id)
    except ResponseError:  # not a Valkey of this time
        target.admin.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", source_id)
        source.admin.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", target_id)
        while keys := source.admin.execute_command("CLUSTER GETKEYSINSLOT", slot, 20):
            source.admin.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 2000, "KEYS", *keys)
        for node in (target, source, *(each for each in engine.primaries() if each not in (source, target))):
            node.admin.execute_command("CLUSTER SETSLOT", slot, "NODE", target_id)
        return
    eventually(lambda: slot in _slots_of(target), seconds=PROMOTION_SECONDS)


def _partitions_of(node):
    slots = {node.admin.execute_command("CLUSTER KEYSLOT", f"{{{each:x}}}") for each in range(16)}
    return sorted(slots & _slots_of(node))


def _slots_of(node):
    own, slots = node_id(node).encode(), set()
    for first, last, primary, *_ in node.admin.execute_command("CLUSTER SLOTS"):
        if primary[2] == own:
            slots.update(range(first, last + 1))
    return slots


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
    "primary killed": kill,
    "primary frozen": stop,
}
OF_REPLICATED = {"replica frozen": freeze_replica, "primary cut off": cut, "planned failover": planned}
FAULTS = {
    "standalone": OF_ANY | {"loading": load},
    "sentinel": OF_ANY | OF_REPLICATED,
    "cluster": OF_ANY | OF_REPLICATED | {"slots moved": move_slots},
    "sentinel (replicas 30 s ahead)": {"primary killed": kill},
    "cluster (Redis 7)": {"slots moved": move_slots, "primary cut off": cut},
}
