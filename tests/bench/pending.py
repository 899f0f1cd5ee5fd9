"""Many pending verifications in a short time: the service's own store writes one, and the others are copies of it.

    made = make_pending(redis_url, 30_000)      # ids with their right codes; each has a send with a SID
    lines = verify_requests(made)               # for wrk.py

A copy has the same fields, TTL and number record as the one that `issue` and `deliver` wrote; only the values bound to
its id, number and code differ (digest, sealed number, tags, SID). So it stays correct when the record changes, unless
a change binds another value: then approvals fail, and every bench counts approvals.
"""

import asyncio
import itertools
import secrets
from dataclasses import dataclass

import redis
from check_script import SCRIPT, check_call
from servers import KEYRING

from service.core.api_keys import Scope, new_api_key
from service.core.channels import Channel
from service.core.limits import MOST_FAILED_IN_A_ROW, UNLIMITED, parse_limits
from service.core.partitions import PARTITIONS
from service.core.verification import ID_PREFIX, Delivery, VerificationRequest, new_id, partition_of
from service.core.verification_store import NewVerification
from service.redis_client import open_redis_client
from service.redis_client.resp import pack
from service.store import keys as redis_keys
from service.store.fields import FIELDS
from service.store.ledgers import RedisApiKeys
from service.store.policy import RecordPolicy
from service.store.scripts import Scripts
from service.store.verifications import RedisVerifications

API_KEY, _KEPT = new_api_key("bench", [Scope.VERIFICATIONS])
_DEFAULTS = RecordPolicy(
    3600, 5, 5, False, parse_limits("1/30s,5/10m,10/1d"), UNLIMITED, MOST_FAILED_IN_A_ROW, frozenset({Channel.SMS})
)
_CODE = FIELDS.key("code").encode()
_PIECE = 2000  # commands in each write
_numbers = itertools.count(secrets.randbelow(5_000_000))


@dataclass(frozen=True, slots=True)
class Pending:
    """A pending verification and its code."""

    id: str
    code: str


@dataclass(frozen=True)
class _Template:
    """The hashes that the store wrote for one verification and its number, with their TTLs."""

    record: dict[bytes, bytes]
    record_ttl_ms: int
    number: dict[bytes, bytes]
    number_ttl_ms: int


def make_pending(redis_url, count, *, enqueueing=True, on_progress=None):
    """Write this many pending verifications, each with its own number; `on_progress` gets the count so far.

    Without `enqueueing` their approval enqueues nothing, as for a test number, whose record differs only in this.
    """
    with redis.Redis.from_url(redis_url) as client:
        template = asyncio.run(_issue_one(redis_url, client))
        if not enqueueing:
            template.record[FIELDS.send_key("feedback", 1).encode()] = b"none"
        made = []
        while len(made) < count:
            piece = [Pending(*_new_id_and_code()) for _ in range(min(_PIECE, count - len(made)))]
            _write(client, [word for one in piece for word in _copy_commands(template, one)])
            made += piece
            if on_progress is not None:
                on_progress(len(made))
    return made


def approve(redis_url, made):
    """Approve verifications with the script itself: this fills the outbox without a service."""
    with redis.Redis.from_url(redis_url) as client:
        client.script_load(SCRIPT.text)
        for start in range(0, len(made), _PIECE):
            with client.pipeline(transaction=False) as pipeline:
                for one in made[start : start + _PIECE]:
                    keys, args = check_call(KEYRING, one.id, one.code)
                    pipeline.evalsha(SCRIPT.sha, len(keys), *keys, *args)
                if {response[1] for response in pipeline.execute()} != {b"approved"}:
                    raise SystemExit("not all were approved")


def add_api_key(redis_url):
    """Add API_KEY to the service; `make_pending` does so, too."""
    with redis.Redis.from_url(redis_url) as client:
        asyncio.run(_issue_one(redis_url, client))


def verify_requests(made):
    """Return a (path, body) for each, with its right code."""
    return [(f"/v1/verifications/{one.id}/verify", f'{{"code":"{one.code}"}}') for one in made]


def approved_count(redis_url):
    """Return the number of approved checks, from the service's counters in Redis."""
    names = [redis_keys.stats(p) for p in PARTITIONS]
    with redis.Redis.from_url(redis_url) as client:
        counters = [counter for name in names for counter in client.hgetall(name).items()]
    return sum(int(count) for name, count in counters if name.startswith(b"approved:"))


def forget_all(redis_url):
    """Empty Redis except for the scripts, and add the API key again."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    add_api_key(redis_url)


def forget(redis_url, made):
    """Remove the records of these verifications and of their numbers, and all entries: Redis has its former size."""
    with redis.Redis.from_url(redis_url) as client:
        with client.pipeline(transaction=False) as pipeline:
            for one in made:
                pipeline.hget(redis_keys.verification(one.id), FIELDS.key("number_tag"))
            tags = [tag.decode() for tag in pipeline.execute()]
        names = [redis_keys.verification(one.id) for one in made]
        names += [redis_keys.number(partition_of(one.id), tag) for one, tag in zip(made, tags, strict=True)]
        client.delete(*names, *(name(p) for p in PARTITIONS for name in (redis_keys.outbox, redis_keys.outbox_info)))


def _new_id_and_code():
    return new_id(secrets.choice(PARTITIONS)), f"{secrets.randbelow(10**6):06d}"


async def _issue_one(redis_url, client):
    """Issue one verification through the store of the service, and read the records."""
    redis_client = await open_redis_client(redis_url, client_name="bench")
    try:
        scripts = Scripts(redis_client)
        await RedisApiKeys(scripts).add(_KEPT.digest, _KEPT.particulars)
        to, store = _next_number(), RedisVerifications(scripts, KEYRING, _DEFAULTS)
        verification_id = new_id(KEYRING.partition(to))
        request = VerificationRequest("US", code_length=6, ttl_seconds=600)
        tag = KEYRING.number_tag(to)
        new = NewVerification(verification_id, to, tag, request, owner=_KEPT.owner_tag)
        await store.issue(new, KEYRING.code_digests(verification_id, "000000")[0])
        await store.deliver(verification_id, 1, sid="SM" + secrets.token_hex(16), status=Delivery.QUEUED)
    finally:
        await redis_client.close()
    record = redis_keys.verification(verification_id)
    number = redis_keys.number(partition_of(verification_id), tag)
    return _Template(client.hgetall(record), client.pttl(record), client.hgetall(number), client.pttl(number))


def _copy_commands(template, one):
    """Return the commands that write a copy for another id. Its number may belong to another partition."""
    to = _next_number()
    tag = KEYRING.number_tag(to)
    own = {
        FIELDS.key("number").encode(): KEYRING.seal(one.id, to.encode()),
        FIELDS.key("number_tag").encode(): tag,
        FIELDS.send_key("sid", 1).encode(): "SM" + secrets.token_hex(16),
    }
    [digest] = KEYRING.code_digests(one.id, one.code)
    record, number = redis_keys.verification(one.id), redis_keys.number(partition_of(one.id), tag)
    words, listed = [b"HSET", record], bytes.fromhex(one.id.removeprefix(ID_PREFIX))
    for field, value in template.record.items():
        words += (_CODE + digest, value) if field.startswith(_CODE) else (field, own.get(field, value))
    return [
        pack(words),
        pack([b"PEXPIRE", record, template.record_ttl_ms]),
        pack([b"HSET", number, *itertools.chain.from_iterable({**template.number, b"ids": listed}.items())]),
        pack([b"PEXPIRE", number, template.number_ttl_ms]),
    ]


def _next_number():
    return f"+1415{next(_numbers) % 10_000_000:07d}"


def _write(client, packed):
    """Send commands in one write and read all responses: a tenth of the time of redis-py's pipeline."""
    connection = client.connection_pool.get_connection()
    try:
        connection.send_packed_command([b"".join(packed)], check_health=False)
        for _ in packed:
            response = connection.read_response()
            if isinstance(response, Exception):
                raise response
    finally:
        client.connection_pool.release(connection)
