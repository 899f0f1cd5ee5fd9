"""The slots of a cluster: which are where, and the fault that moves them while clients work."""

from redis.exceptions import ResponseError

from tests.failover.engines import PROMOTION_SECONDS, node_id, pause
from tests.redis_client.servers import eventually


def move_slots(engine):
    """Move the slots of all partitions of a primary to another one, and back: atomically if the servers can."""
    source, target = engine.primaries()[:2]
    for one, other in ((source, target), (target, source)):
        for slot in engine.spare.setdefault("slots", _slots_of_partitions(source)):
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
            source.admin.execute_command("MIGRATE", target.host, target.port, "", 0, 2000, "KEYS", *keys)
        for node in (target, source, *(each for each in engine.primaries() if each not in (source, target))):
            node.admin.execute_command("CLUSTER SETSLOT", slot, "NODE", target_id)
        return
    eventually(lambda: slot in slots_of(target), seconds=PROMOTION_SECONDS)


def _slots_of_partitions(node):
    return sorted({slot_of(node, partition) for partition in range(16)} & slots_of(node))


def slot_of(node, partition):
    """Return the slot of a partition."""
    return node.admin.execute_command("CLUSTER KEYSLOT", f"{{{partition:x}}}")


def slots_of(node):
    """Return the slots that a node serves."""
    own, slots = node_id(node).encode(), set()
    for first, last, primary, *_ in node.admin.execute_command("CLUSTER SLOTS"):
        if primary[2] == own:
            slots.update(range(first, last + 1))
    return slots
