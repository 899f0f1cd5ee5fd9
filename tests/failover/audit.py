"""The audit that ends each fault run: what clients were told against what the simulator and Redis have.

lost        approved, and never confirmed to Twilio
twice       approved for two requests
forgotten   told of, and unknown afterwards; or approved, and not approved afterwards
stuck       a right code that nobody can use, a confirmation that is still pending
unasked     confirmed, and no client has typed the code
immortal    a key without a TTL
doubles     confirmed more than once: allowed, since a confirmation is delivered at least once
"""

import asyncio
import time
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from service.store import keys as redis_keys

QUIET_SECONDS = 60
PENDING_SECONDS = 125  # see shown.lua
BATCH = 20


@dataclass
class Findings:
    """The pairs, SIDs or keys of each kind."""

    lost: list = field(default_factory=list)
    twice: list = field(default_factory=list)
    forgotten: list = field(default_factory=list)
    stuck: list = field(default_factory=list)
    unasked: list = field(default_factory=list)
    immortal: list = field(default_factory=list)
    doubles: list = field(default_factory=list)

    def counts(self):
        """Return how many there are of each kind."""
        return {name: len(found) for name, found in vars(self).items()}

    def broken(self):
        """Return the kinds that must not be, with what was found."""
        return {name: found for name, found in vars(self).items() if found and name != "doubles"}


async def audit(clients, engine, *, newest=None):
    """Let everything settle, type each code again, and compare. The engine must be healthy.

    With `newest` only so many of the last codes are typed again: the records of the others have expired.
    """
    found, service = Findings(), clients.service
    pending_seconds = PENDING_SECONDS + engine.behind_seconds  # by the clock of the node that took over
    patience = time.monotonic() + (pending_seconds if service.settings.otp_wait_replicas else 0)
    told = [pair for pair in clients.pairs if pair.id]
    await _settle(engine)
    found.lost = [pair for pair in told if pair.is_approved and not _is_confirmed(service, pair)]
    found.unasked = [pair.sid for pair in told if not pair.has_typed and _is_confirmed(service, pair)]
    await asyncio.sleep(engine.behind_seconds)  # a code from the future of Redis is not valid before its time
    known = told[-newest:] if newest else told
    for first in range(0, len(known), BATCH):
        await asyncio.gather(*(_type_again(clients, pair, found, patience) for pair in known[first : first + BATCH]))
    await _settle(engine)
    _confirmations(service, told, found)
    await asyncio.to_thread(_keys, engine, found)
    return found


async def _type_again(clients, pair, found, patience):
    """Require that what was approved is so for nobody else, and that what was not can be used, once."""
    status, read = await _read(clients.service, pair, patience)
    if status == 404 or (pair.is_approved and read.get("status") != "approved"):
        found.forgotten.append(pair)
    if status == 404:
        return
    verdict = await clients.type_again(pair)
    if pair.verdicts.count("approved") + (verdict == "approved") > 1:
        found.twice.append(pair)
    if verdict is not None:
        pair.verdicts.append(verdict)
    if not pair.is_approved:
        found.stuck.append(pair)


async def _read(service, pair, patience):
    """Read a verification. One whose failover lost the last step of an approval reads as pending for two minutes."""
    while True:
        status, read, _ = await service.call("GET", f"/v1/verifications/{pair.id}")
        if not pair.is_approved or read.get("status") != "pending" or time.monotonic() > patience:
            return status, read
        await asyncio.sleep(1)


def _is_confirmed(service, pair):
    return service.sandbox.ledger.message(pair.sid).outcome == "confirmed"


def _confirmations(service, told, found):
    by_sid = {message.sid: message for message in service.messages(None)}
    typed = {pair.sid for pair in told}  # by now
    for pair in told:
        message = by_sid[pair.sid]
        if pair.is_approved and message.outcome != "confirmed" and pair not in found.lost:
            found.lost.append(pair)
        if message.feedback_posts > 1:
            found.doubles.append(pair.sid)
    found.unasked += [sid for sid, message in by_sid.items() if message.outcome == "confirmed" and sid not in typed]


def _keys(engine, found):
    for key, node in engine.every_key():
        if key != b"otp:keys" and node.admin.ttl(key) == -1:
            found.immortal.append(key)
    found.stuck += [sid for _, _, sid in _entries(engine, "")]


async def _settle(engine):
    """Wait until the outbox is empty; leases end now, and lost messages are looked for now."""
    deadline = time.monotonic() + QUIET_SECONDS
    while time.monotonic() < deadline:
        if not await asyncio.to_thread(_hurry, engine):
            return
        await asyncio.sleep(1)


def _hurry(engine):
    """Make due what waits; return how much does."""
    waiting = 0
    for ending in ("", ":lookups"):
        for node, key, member in _entries(engine, ending):
            waiting += 1
            if (node.admin.zscore(key, member) or 0) > (time.time() + 2) * 1000:
                node.admin.zadd(key, {member: 1}, xx=True)
    return waiting


def _entries(engine, ending):
    try:
        primaries = engine.primaries()
        for partition in "0123456789abcdef":
            key = redis_keys.outbox(partition) + ending
            for node in primaries:
                try:
                    members = node.admin.zrange(key, 0, -1)
                except RedisError:  # the slot of another node
                    continue
                for member in members:
                    yield node, key, member
    except RedisError:
        return
