"""The stores on a real engine, with the steps that tests share: issue, resend, check, advance the time.

Tests do not sleep: `time_passes` shifts every instant and every TTL in Redis back by some milliseconds, as if
the server had waited; the scripts still read the clock with Redis TIME.
"""

import hashlib
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from secrets import token_hex

import redis

from service.core.actions import ACTIONS, Action
from service.core.actions.words import WORDS
from service.core.channels import Channel
from service.core.inbound import Inbound
from service.core.keyring import Keyring
from service.core.limiter import Limiter, LimitPolicy
from service.core.limits import UNLIMITED
from service.core.message_texts import MessageTexts
from service.core.numbers import Numbers
from service.core.profiles import Profile, Profiles
from service.core.searching import Searching
from service.core.verification import Delivery, VerificationRequest, new_id, partition_of
from service.core.verification_store import Check, Matching, NewVerification
from service.redis_client import open_redis_client
from service.store import keys as redis_keys
from service.store.confirmations import open_confirmations
from service.store.expectations import RedisExpectations
from service.store.fields import FIELDS
from service.store.ledgers import RedisApiKeys, RedisIdempotency, RedisLimits, RedisStats
from service.store.links import RedisLinks
from service.store.numbers import RedisNumbers
from service.store.policy import RecordPolicy
from service.store.scripts import Scripts
from service.store.verifications import RedisVerifications
from tests.records import RawRecord

NUMBER = "+14155550123"
OTHER_NUMBER = "+12025550145"
OLD_SECRET, NEW_SECRET, INDEX_KEY = b"o" * 32, b"n" * 32, b"i" * 32
KEYRING = Keyring([OLD_SECRET], INDEX_KEY)
ROTATED = Keyring([NEW_SECRET, OLD_SECRET], INDEX_KEY)
POLICY = RecordPolicy(
    late_window_seconds=3600,
    max_attempts=5,
    max_sends=5,
    supersede_codes=False,
    number=UNLIMITED,
    failed_checks=UNLIMITED,
    most_failed_in_a_row=100,
    confirmed_channels=frozenset({Channel.SMS}),
)
MINUTE_MS = 60_000
CODE_TTL_MS = 10 * MINUTE_MS  # of the records created here
FORGOTTEN_MS = CODE_TTL_MS + 3600 * 1000  # the whole life of a record, unless a resend extends it

# One atomic step on the server, so that a test never sees a half-shifted clock.
_TIME_PASSES = FIELDS.lua("""
local ms = tonumber(ARGV[1])
local function earlier(text) return string.format('%d', tonumber(text) - ms) end
local function all_earlier(text) return (string.gsub(text, '%d+', earlier)) end
for _, key in ipairs(redis.call('KEYS', '*')) do
  local ttl = redis.call('PTTL', key)
  if ttl >= 0 and ttl <= ms then
    redis.call('DEL', key)
  else
    if ttl >= 0 then redis.call('PEXPIRE', key, ttl - ms) end
    local kind = redis.call('TYPE', key).ok
    if kind == 'zset' then
      for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do redis.call('ZINCRBY', key, -ms, member) end
    elseif kind == 'hash' then
      local record = redis.call('HGETALL', key)
      for i = 1, #record, 2 do
        local field, value = record[i], record[i + 1]
        local moved = value
        local is_instant = string.find(field, '^' .. SEND.sent_at_ms) or field == FIELD.resend_at_ms
        if string.find(key, ':v:', 1, true) and is_instant then
          moved = earlier(value)
        elseif string.find(key, ':v:', 1, true) and string.find(field, '^' .. FIELD.check) then
          moved = string.gsub(value, '^%d+', earlier)
        elseif string.find(key, ':to:', 1, true) and (field == 'sends' or field == 'failed') then
          moved = all_earlier(value)
        elseif string.find(key, ':outbox:info', 1, true) then
          moved = string.gsub(value, '^(%d+|)(%d+)', function(tries, since) return tries .. earlier(since) end)
        elseif string.find(key, 'otp:idem:', 1, true) and field == 'until' then
          moved = earlier(value)
        end
        if moved ~= value then redis.call('HSET', key, field, moved) end
      end
    end
  end
end
""")


@dataclass(frozen=True)
class Engine:
    """One server on which the suites run."""

    name: str
    url: str
    admin: redis.Redis


class Stores:
    """Every store of the service on one engine, and one-line steps for tests."""

    url = None  # of the engine; only that of the fixture has it

    def __init__(self, scripts, admin, *, policy=POLICY, keyring=KEYRING, action=Action.CODE):
        self.scripts = scripts
        self.admin = admin
        self.policy = policy
        self.keyring = keyring
        self.action = action  # of every verification that is issued here
        self.links = RedisLinks(scripts, keyring)
        self.verifications = RedisVerifications(scripts, keyring, policy)
        self.expectations = RedisExpectations(scripts, max_attempts=policy.max_attempts)
        self.api_keys = RedisApiKeys(scripts)
        profiles = Profiles(self.api_keys, keyring, Profile(MessageTexts("Acme")))
        self.inbound = Inbound(self.verifications, self.expectations, keyring, profiles, wake=lambda _: None)
        self.confirmations = open_confirmations(scripts)
        self.index = RedisNumbers(scripts, keyring, policy)
        self.numbers = Numbers(self.index)
        self.limits = RedisLimits(scripts)
        self.searching = Searching(
            self.index, self.verifications, Limiter(self.limits, keyring, LimitPolicy()), keyring
        )
        self.idempotency = RedisIdempotency(scripts)
        self.stats = RedisStats(scripts)

    def under(self, keyring=None, action=None, **policy):
        """Return the same stores with another policy, keyring or action, as in another process."""
        policy, keyring = replace(self.policy, **policy), keyring or self.keyring
        return Stores(self.scripts, self.admin, policy=policy, keyring=keyring, action=action or self.action)

    def new(self, to=NUMBER, **fields):
        """Describe a new verification of a number; `fields` belong to its request or to the verification."""
        asked = {name: fields.pop(name) for name in VerificationRequest._fields if name in fields}
        defaults = {"action": self.action, "country": "US", "code_length": 6, "ttl_seconds": CODE_TTL_MS // 1000}
        index = self.keyring.number_index(to)
        request = VerificationRequest(**defaults | asked)
        return NewVerification(
            **{"id": self._new_id(index.partition), "to": to, "number_tag": index.tag} | fields, request=request
        )

    def _new_id(self, partition):
        """Draw an id whose match is none of the words that tests reply with, as the service draws the words."""
        while True:
            drawn = new_id(partition)
            if ACTIONS[self.action].match(self.keyring, drawn) not in _WORDS_OF_CODES:
                return drawn

    async def issue(self, code="111111", **fields):
        """Issue a verification whose first send has this code."""
        new = self.new(**fields)
        return await self.verifications.issue(new, self.digests(new.id, code)[0])

    def digests(self, verification_id, code):
        """Digest the secret of this action that tests call by the name of a code."""
        secret = secret_of(self.action, verification_id, code)
        return ACTIONS[self.action].digests(self.keyring, verification_id, secret)

    async def resend(self, verification, code, channel=Channel.SMS):
        """Write the next send with this code."""
        digests = self.digests(verification.id, code)
        return await self.verifications.resend(verification, digests, channel)

    async def check(self, verification, code, **fields):
        """Check a code; return the result."""
        asked = {} if self.action is Action.CODE else {"action": self.action}
        asked |= {"matching": Matching.MATCHED} if self.match(verification) else {}
        asked |= {"is_forgeable": True} if self.action in (Action.REPLY, Action.CALL) else {}
        digests = self.digests(verification.id, code)
        return await self.verifications.check(Check(verification.id, digests, **asked | fields))

    def match(self, verification):
        """Return what the page that started a verification shows."""
        return ACTIONS[self.action].match(self.keyring, verification.id)

    async def answer(self, code, verification=None, *, to=NUMBER, answer_id=None, match=None):
        """Reply from a number, or call, with this secret and a match, that of a verification; return results by id."""
        secret = secret_of(self.action, "", code)
        match = match or (self.match(verification) if verification else "")
        decide = self.inbound.keys if self.action is Action.CALL else self.inbound.reply
        results = await decide(to, f"{secret} {match}", answer_id or token_hex(16))
        return {result.verification.id: result for result in results}

    def wrong_match(self, verification, code="111111"):
        """Return what could be the match of a verification and is not."""
        right = {self.match(verification), *secret_of(self.action, "", code).split()}
        possible = WORDS if self.action is Action.REPLY else ("42", "43")
        return next(each for each in possible if each not in right)

    async def linked(self, verification, code="111111"):
        """Read what the link of a send leads to."""
        return await self.links.linked(partition_of(verification.id), self.digests(verification.id, code)[0])

    async def verdict(self, verification, code, **fields):
        """Check a code; return the verdict only."""
        return (await self.check(verification, code, **fields)).verdict

    async def deliver(self, verification, send=1, *, sid=None, status=Delivery.QUEUED, **more):
        """Record a delivery status of a send; the SID is that of the send unless another one is given."""
        sid = sid or sid_of(verification, send)
        return await self.verifications.deliver(verification.id, send, sid=sid, status=status, **more)

    async def sent(self, code="111111", **fields):
        """Issue a verification and store the SID of its first send."""
        verification = await self.issue(code, **fields)
        await self.deliver(verification)
        return verification

    async def search(self, to=NUMBER, owner="alpha"):
        """Return the ids that an owner finds for a number."""
        return [each.id for each in await self.searching.search(to, owner=owner, caller="a key")]

    async def read(self, verification):
        """Read a verification again."""
        return await self.verifications.read(verification.id)

    async def feedback(self, verification):
        """Return the feedback of each send."""
        return [send.feedback for send in (await self.read(verification)).sends]

    async def pending(self):
        """Return the pending SIDs in the order of their due times."""
        return [entry.key async for entry in self.confirmations.pending()]

    async def failed(self):
        """Return the failed confirmations by SID."""
        return {failed.entry.key: failed async for failed in self.confirmations.failed()}

    async def claim(self, verification, *, lease_ms=30_000, most=10):
        """Claim what is due in the partition of a verification."""
        return await self.confirmations.claim(partition_of(verification.id), lease_ms=lease_ms, most=most)

    def record(self, verification):
        """Return the raw record as a dict."""
        return self.admin.hgetall(redis_keys.verification(verification.id))

    def raw(self, verification):
        """Return the raw record, whose fields can be read and changed."""
        return RawRecord(self.admin, verification.id)

    def number_key(self, to=NUMBER):
        """Return the key of the record of a number."""
        return redis_keys.number(self.keyring.partition(to), self.keyring.number_tag(to))

    def number_record(self, to=NUMBER):
        """Return the raw record of a number."""
        return self.admin.hgetall(self.number_key(to))

    def time_passes(self, ms):
        """Advance the time by this much."""
        time_passes(self.admin, ms)


@asynccontextmanager
async def open_stores(engine, **options):
    """Open the stores on an engine, and close them at the end of the block."""
    # The timeout is long for busy machines.
    client = await open_redis_client(engine.url, client_name="tests", timeout_seconds=20)
    try:
        stores = Stores(Scripts(client), engine.admin, **options)
        stores.url = engine.url
        yield stores
    finally:
        await client.close()


def time_passes(admin, ms):
    """Shift every instant and TTL in Redis back by `ms`; what would have expired is deleted."""
    admin.eval(_TIME_PASSES, 0, ms)


def immortal(admin):
    """Return the keys without a TTL that must have one (promise 9)."""
    return [key for key in admin.scan_iter() if admin.ttl(key) == -1 and key != b"otp:keys"]


def secret_of(action, verification_id, code):
    """Return the secret that has the name of a code; tokens differ between verifications."""
    if action is Action.LINK:
        return f"{verification_id} {code}"
    if action is Action.REPLY:
        place = int(code) % (len(WORDS) - 1)
        return f"{WORDS[place]} {WORDS[place + 1]}"
    return code


_WORDS_OF_CODES = frozenset(word for digit in "0123456789" for word in secret_of(Action.REPLY, "", digit * 6).split())


def sid_of(verification, send=1):
    """Return the SID of the message of a send."""
    return "SM" + hashlib.sha256(f"{verification.id}/{send}".encode()).hexdigest()[:32]
