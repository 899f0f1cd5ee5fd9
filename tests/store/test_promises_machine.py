"""The promises as a state machine: any order of steps, on a real Valkey, against a model in plain Python.

Each rule performs one step on the stores, compares the result with the model, and updates the model. After each step
the whole content of Redis is read at once and compared. `make promises` runs more examples.
"""

import asyncio
import hashlib
import os
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
import redis as redis_py
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from service.core.actions import Action
from service.core.channels import Channel, Step
from service.core.idempotency import OtherBody
from service.core.limits import Limited, Limits
from service.core.verification import Delivery, partition_of
from service.core.verification_store import UnknownVerification
from service.store import keys as redis_keys
from service.store.fallbacks import RedisFallbacks
from tests.records import field_of
from tests.store.engines import (
    NUMBER,
    OTHER_NUMBER,
    POLICY,
    ROTATED,
    Engine,
    open_stores,
    sid_of,
    time_passes,
)
from tests.store.promises_model import (
    DELAY_MS,
    FALLBACK_LEASE_MS,
    IDEMPOTENT_MS,
    LATE_MS,
    LEASE_MS,
    MOST_ATTEMPTS,
    MOST_FAILED,
    MOST_IN_A_ROW,
    MOST_PER_NUMBER,
    MOST_SENDS,
    RANKS,
    STEP_MS,
    TTL_MS,
    WINDOW_MS,
    Model,
    ModelSend,
    ModelVerification,
)

RUNS = int(os.environ.get("PROMISES_RUNS", "300"))
CODES = ("111111", "222222", "333333", "444444")
OWNERS = ("alpha", "alpha", "beta")
NEVER_SENT = "000000"
STRANGER = "SM" + "f" * 32
MACHINE_POLICY = replace(
    POLICY,
    late_window_seconds=LATE_MS // 1000,
    max_attempts=MOST_ATTEMPTS,
    max_sends=MOST_SENDS,
    number=Limits(((MOST_PER_NUMBER, WINDOW_MS),)),
    failed_checks=Limits(((MOST_FAILED, WINDOW_MS),)),
    most_failed_in_a_row=MOST_IN_A_ROW,
    confirmed_channels=frozenset(Channel),
)
LISTS = ((), (), (Step(Channel.VOICE, 100),), (Step(Channel.WHATSAPP, 40), Step(Channel.VOICE, 100)))
FIRST_WAIT_SECONDS = 50
# The whole content of Redis, at one instant.
_DUMP = """
local dump, read = {}, {hash = {'HGETALL'}, string = {'GET'}, zset = {'ZRANGE', 0, -1}}
read.set, read.list = {'SMEMBERS'}, {'LRANGE', 0, -1}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local command, first, last = unpack(read[redis.call('TYPE', key).ok])
  local content = first and redis.call(command, key, first, last) or redis.call(command, key)
  dump[#dump + 1] = {key, redis.call('PTTL', key), content}
end
return dump
"""


has_verifications = precondition(lambda self: self.model.all)
recent = st.sampled_from((0, 0, 0, 1, 1, 2))  # how many verifications are newer than the chosen one
outcomes = st.sampled_from(("takes it", "takes it", "takes it", "is silent", "is not asked", "refuses", "is busy"))
keys = st.sampled_from((None, None, None, "k1", "k2"))
asked = st.sampled_from(
    ((None, None),) * 6 + ((NUMBER, None), (OTHER_NUMBER, None), (None, "login"), (None, "payment"))
)


class Promises(RuleBasedStateMachine):
    """Issue, resend, check, cancel, deliver, confirm and wait; each rule knows the expected result."""

    def __init__(self, stores, run):
        super().__init__()
        self.run = run
        self.stores = stores
        self.admin = stores.admin
        self.admin.flushall()
        self.model = Model()
        self.held = []
        self.claims = []  # of next channels: (verification, what is left of its list then, as claimed, when)

    @initialize(strict=st.booleans(), action=st.sampled_from(Action))
    def choose_policy(self, strict, action):
        self.model.strict, self.model.by_message = strict, action in (Action.REPLY, Action.CALL)
        self.stores = self.stores.under(supersede_codes=strict, action=action)

    # --- sends --------------------------------------------------------------------------------

    @rule(
        to=st.sampled_from((NUMBER, NUMBER, OTHER_NUMBER)),
        asked_for=st.tuples(st.sampled_from(("login", "payment")), st.sampled_from(OWNERS)),
        code=st.sampled_from(CODES),
        further=st.sampled_from(LISTS),
        twilio=outcomes,
    )
    def issue(self, to, asked_for, code, further, twilio):
        purpose, owner = asked_for
        if self.model.limited(to):
            with pytest.raises(Limited):
                self.run(self.stores.issue(code, to=to, purpose=purpose))
            return
        asked = {"to": to, "purpose": purpose, "owner": owner, "ttl_seconds": TTL_MS // 1000}
        asked |= {"wait_seconds": FIRST_WAIT_SECONDS, "further": further} if further else {}
        real = self.run(self.stores.issue(code, **asked))
        sends = [ModelSend(1, code, self.model.now)]
        verification = ModelVerification(real, to, purpose, sends, self.life(), owner)
        if further:
            verification.steps, verification.wait_seconds = [tuple(step) for step in further], FIRST_WAIT_SECONDS
            verification.follow_in(FIRST_WAIT_SECONDS * 1000, self.model.now)
        self.model.list(verification)
        self.model.sent_to[to].append(verification.sends[0])
        self.model.all.append(verification)
        self.apply_twilio_response(verification, twilio)

    @has_verifications
    @rule(
        which=recent,
        code=st.sampled_from(CODES),
        channel=st.sampled_from((Channel.SMS, Channel.SMS, Channel.VOICE)),
        twilio=outcomes,
    )
    def resend(self, which, code, channel, twilio):
        verification = self.recent(which)
        refusal = self.model.why_no_resend(verification, code)
        if refusal:
            with pytest.raises(refusal):
                self.run(self.stores.resend(verification.real, code, channel))
            return
        self.run(self.stores.resend(verification.real, code, channel))
        self.sent(verification, code, channel)
        verification.take_step(channel, self.model.now)
        self.apply_twilio_response(verification, twilio)

    def sent(self, verification, code, channel):
        """Add the next send to the model."""
        verification.sends.append(ModelSend(len(verification.sends) + 1, code, self.model.now, channel))
        verification.lives_until_ms = max(verification.lives_until_ms, self.life())
        self.model.sent_to[verification.to].append(verification.sends[-1])

    @precondition(lambda self: any(each.due_ms is not None for each in self.model.all))
    @rule(to=st.sampled_from((NUMBER, NUMBER, OTHER_NUMBER)))
    def claim_next_channel(self, to):
        """Claim a verification whose next channel is due; those that need none are removed on the way."""
        partition = self.stores.keyring.partition(to)
        expected = self.model.due_channels(partition)
        due = self.run(RedisFallbacks(self.stores.scripts, self.stores.keyring, self.stores.policy).claim(partition))
        assert bool(due) == bool(expected)
        if due:
            [verification] = [each for each in expected if each.id == due.verification.id]
            verification.follow_in(FALLBACK_LEASE_MS, self.model.now)
            verification.claim = object()
            # Two claims within one millisecond have the same instant, so that one of them holds: the later one here.
            self.claims = [each for each in self.claims if each[0] is not verification or each[3] != self.model.now]
            claim = verification.claim, (verification.wait_seconds, verification.steps)
            self.claims.append((verification, claim, due, self.model.now))
        scheduled = self.admin.zrange(redis_keys.fallbacks(partition), 0, -1)
        for each in self.model.all:
            if each.id[3] == partition and each.due_ms is not None and each.id.encode() not in scheduled:
                assert not self.model.needs_channel(each), "only what needs no channel is removed"
                each.due_ms = None

    @precondition(lambda self: self.claims)
    @rule(which=st.integers(0, 9), code=st.sampled_from(CODES), twilio=outcomes, may_follow=st.booleans())
    def follow(self, which, code, twilio, may_follow):
        """Send by a channel that some worker once claimed; only the last claim of a verification may."""
        verification, (claim, left), due, _ = self.claims[which % len(self.claims)]
        refusal = self.model.why_no_resend(verification, code, claim)
        digests = self.stores.digests(verification.id, code)
        step = self.stores.verifications.resend(due.verification, digests, due.channel, due=due)
        if refusal:
            with pytest.raises(refusal):
                self.run(step)
            return
        self.run(step)
        self.sent(verification, code, due.channel)
        verification.take_step(due.channel, self.model.now)
        self.apply_twilio_response(verification, twilio, may_follow=may_follow, due=due, claimed=left)

    def apply_twilio_response(self, verification, twilio, **more):
        """Apply Twilio's response to the newest send."""
        send = verification.sends[-1]
        if twilio == "takes it":
            send.sid, send.status = sid_of(verification, send.number), "queued"
            self.model.send_of[send.sid] = send
            assert self.run(self.stores.deliver(verification, send.number)) is False
        elif twilio == "is silent":
            self.run(self.stores.verifications.note_handed(verification.id, send.number))
            send.is_noted = True
        elif twilio != "is not asked":
            self.take_back(verification, send, passing=twilio == "is busy", **more)

    @has_verifications
    @rule(which=recent, passing=st.booleans(), may_follow=st.booleans())
    def refuse_late(self, which, passing, may_follow):
        """Take the newest send back after other steps, which happens only while Twilio cannot have it."""
        verification = self.recent(which)
        send = verification.sends[-1]
        if not send.was_handed and not send.taken_back:
            self.take_back(verification, send, passing=passing, may_follow=may_follow)

    def take_back(self, verification, send, *, passing, may_follow=False, due=None, claimed=None):
        step = self.stores.verifications.refuse(
            verification.real, send.number, error_code=21211, passing=passing, may_follow=may_follow, due=due
        )
        if self.model.forgotten(verification):
            with pytest.raises(UnknownVerification):
                self.run(step)
            return
        refused = self.run(step)
        assert refused.is_followed == verification.take_back(
            send, passing=passing, now=self.model.now, may_follow=may_follow, claimed=claimed
        )
        if verification.leaves_no_trace and verification in self.model.listed[verification.to]:
            self.model.listed[verification.to].remove(verification)
        if send in self.model.sent_to[verification.to]:
            self.model.sent_to[verification.to].remove(send)

    @has_verifications
    @rule(
        which=recent,
        number=st.sampled_from((1, 1, 1, 2, 2, 3, 4)),
        status=st.sampled_from(list(RANKS)),
        sid_is_foreign=st.sampled_from((False, False, False, True)),
    )
    def receive_status(self, which, number, status, sid_is_foreign):
        """Receive a response or callback: late, repeated, out of order, for an unknown send, with a foreign SID."""
        verification = self.recent(which)
        send = verification.sends[number - 1] if number <= len(verification.sends) else None
        if send and (send.taken_back or (sid_is_foreign and send.sid is None)):
            return
        sid = STRANGER if sid_is_foreign else sid_of(verification, number)
        enqueued = self.run(self.stores.deliver(verification, number, sid=sid, status=Delivery(status)))
        if send is None or sid_is_foreign or self.model.forgotten(verification):
            assert enqueued is None
            return
        assert enqueued is (send.feedback == "awaiting_sid")
        send.sid = sid
        self.model.send_of[sid] = send
        if enqueued:
            self.model.enqueue(send)
        if RANKS[status] > RANKS[send.status]:
            send.status = status
            if RANKS[status] >= RANKS["failed"] and send is verification.sends[-1] and verification.state == "pending":
                if status in ("failed", "undelivered"):
                    verification.follow_in(0, self.model.now)
                else:
                    verification.due_ms = None

    @has_verifications
    @rule(which=recent)
    def cancel(self, which):
        verification = self.recent(which)
        if self.model.forgotten(verification):
            with pytest.raises(UnknownVerification):
                self.run(self.stores.verifications.cancel(verification.id))
            return
        self.run(self.stores.verifications.cancel(verification.id))
        if verification.state == "pending" and not self.model.ended_by_time(verification):
            verification.state = "canceled"

    @rule(to=st.sampled_from((NUMBER, NUMBER, OTHER_NUMBER)), owner=st.sampled_from((*OWNERS, "gamma")))
    def search(self, to, owner):
        """Find the newest verifications of a number, of one owner."""
        assert self.run(self.stores.search(to, owner)) == self.model.found(to, owner)

    # --- checks -------------------------------------------------------------------------------

    @has_verifications
    @rule(which=recent, send=st.sampled_from((-1, -1, 0, 1)), asked=asked, key=keys)
    def check_a_sent_code(self, which, send, asked, key):
        """Type the code of the newest, the first or the second send."""
        verification = self.recent(which)
        self.check(verification, verification.sends[send % len(verification.sends)].code, asked, key)

    @has_verifications
    @rule(which=recent, code=st.sampled_from((*CODES, NEVER_SENT)), asked=asked, key=keys)
    def check_any_code(self, which, code, asked, key):
        """Type a guess, which may be the code of another verification."""
        self.check(self.recent(which), code, asked, key)

    def check(self, verification, code, asked, key):
        to, purpose = asked
        body = hashlib.sha256(f"{code}|{to}|{purpose}".encode()).hexdigest()[:16]
        step = self.stores.check(verification, code, to=to, purpose=purpose, idempotency_key=key, fingerprint=body)
        if self.model.forgotten(verification):
            with pytest.raises(UnknownVerification):
                self.run(step)
            return
        known = verification.stored_verdicts.get(key)
        if known and (self.model.by_message or self.model.now - known[0] <= IDEMPOTENT_MS):
            self.check_again(step, known, body)
            return
        verdict, send = self.model.expected(verification, code, to, purpose)
        is_counted = not self.model.is_uncounted(verification)
        enqueued = bool(is_counted and send and send.feedback == "none" and send.sid)
        result = self.run(step)
        assert (result.verdict, result.enqueued, result.replayed) == (verdict, enqueued, False)
        if is_counted:
            self.model.count_check(verification, verdict, send)
            if key:
                verification.stored_verdicts[key] = (self.model.now, body, verdict)

    def check_again(self, step, known, body):
        """Repeat a check within its minute: the same verdict for the same body, a refusal for another."""
        if known[1] != body:
            with pytest.raises(OtherBody):
                self.run(step)
            return
        result = self.run(step)
        assert (result.verdict, result.replayed, result.enqueued) == (known[2], True, False)

    @precondition(lambda self: self.model.by_message)
    @rule(
        to=st.sampled_from((NUMBER, NUMBER, OTHER_NUMBER)),
        code=st.sampled_from((*CODES, NEVER_SENT)),
        which=st.sampled_from((None, 0, 0, 0, 1)),
        answer_id=st.sampled_from((None, None, None, "m1", "m2")),
    )
    def reply(self, to, code, which, answer_id):
        """Send a message, or call, with the secret of a send, or another, and the match of a verification, or none."""
        shown = self.recent(which) if which is not None and self.model.all else None
        results = self.run(self.stores.answer(code, shown and shown.real, to=to, answer_id=answer_id))
        expecting = self.model.expecting(to, answer_id)
        compared = [each for each in expecting if each.carrier(code)] or expecting
        assert set(results) == {each.id for each in compared}
        for verification in compared:
            result = results[verification.id]
            if known := verification.stored_verdicts.get(answer_id):
                assert (result.verdict, result.enqueued, result.replayed) == (known[2], False, True)
                continue
            is_counted = not self.model.is_uncounted(verification)
            verdict, send = self.model.expected(verification, code, None, None)
            is_match = shown is not None and self.stores.match(shown.real) == self.stores.match(verification.real)
            if verdict in ("approved", "superseded") and not is_match:
                verdict = "wrong_code"
            enqueued = bool(is_counted and send and send.feedback == "none" and send.sid)
            assert (result.verdict, result.enqueued, result.replayed) == (verdict, enqueued, False)
            # The right words alone repeat the message: they confirm its receipt, and leave no other trace.
            is_repetition = self.stores.action is Action.REPLY and shown is None and verification.carrier(code)
            if is_counted:
                self.model.count_check(verification, verdict, send, is_free=bool(is_repetition))
                if answer_id and not is_repetition:
                    verification.stored_verdicts[answer_id] = (self.model.now, "0", verdict)

    # --- the worker ---------------------------------------------------------------------------

    @precondition(lambda self: self.model.pending)
    @rule(to=st.sampled_from((NUMBER, NUMBER, OTHER_NUMBER)), most=st.integers(1, 3))
    def claim(self, to, most):
        partition = self.stores.keyring.partition(to)
        claim = self.run(self.stores.confirmations.claim(partition, lease_ms=LEASE_MS, most=most))
        due = self.model.due(partition)
        leased = {entry.key for entry in claim.entries}
        assert leased <= due
        assert len(leased) == len(claim.entries) == min(most, len(due))
        for entry in claim.entries:
            self.model.pending[entry.key] = self.model.now + LEASE_MS
            self.model.leases[entry.key] = entry.due_ms
            self.held.append(entry)

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 9), refused=st.booleans())
    def settle_or_fail(self, which, refused):
        """Settle or fail an entry that some worker once held; only the holder of the lease may fail it."""
        entry = self.held[which % len(self.held)]
        step = self.stores.confirmations.fail(entry, "404") if refused else self.stores.confirmations.settle(entry)
        is_holder = self.model.leases.get(entry.key) == entry.due_ms
        ends = entry.key in self.model.pending and (is_holder or not refused)
        assert self.run(step) is ends
        if ends:
            del self.model.pending[entry.key]
            self.model.send_of[entry.key].feedback = "failed" if refused else "confirmed"
            (self.model.failed if refused else self.model.confirmed).add(entry.key)

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 9), was_tried=st.booleans())
    def postpone(self, which, was_tried):
        """Postpone an entry that some worker once held; only the holder of the lease may."""
        entry = self.held[which % len(self.held)]
        is_holder = entry.key in self.model.pending and self.model.leases.get(entry.key) == entry.due_ms
        step = self.stores.confirmations.postpone(entry, delay_ms=DELAY_MS, was_tried=was_tried)
        assert self.run(step) is is_holder
        if is_holder:
            self.model.pending[entry.key] = self.model.now + DELAY_MS
            del self.model.leases[entry.key]

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 9))
    def retry(self, which):
        entry = self.held[which % len(self.held)]
        assert self.run(self.stores.confirmations.retry(entry)) is (entry.key in self.model.failed)
        if entry.key in self.model.failed:
            self.model.failed.remove(entry.key)
            self.model.enqueue(self.model.send_of[entry.key])

    # --- the operator -------------------------------------------------------------------------

    @precondition(lambda self: any(self.model.limited(to) for to in self.model.streak))
    @rule(to=st.sampled_from((NUMBER, NUMBER, OTHER_NUMBER)))
    def release(self, to):
        """Release a number; its verifications stay unchanged."""
        self.run(self.stores.numbers.release(to))
        self.model.release(to)

    @has_verifications
    @rule(to=st.sampled_from((NUMBER, OTHER_NUMBER)), meant=st.sampled_from((False, False, False, True)))
    def erase(self, to, meant):
        """Erase a number; pending confirmations of its messages stay pending."""
        if not meant:  # erase rarely, or most runs would be short
            return
        living = [each for each in self.model.all if each.to == to and not self.model.forgotten(each)]
        assert self.run(self.stores.numbers.erase(to)).verifications == len(living)
        self.model.release(to)
        self.model.listed[to] = []
        for verification in living:
            verification.lives_until_ms = self.model.now
        assert not self.run(self.stores.numbers.held(to))

    # --- time and keys --------------------------------------------------------------------------

    @rule(steps=st.sampled_from((1, 1, 1, 2, 6)))
    def time_passes(self, steps):
        ms = steps * STEP_MS
        time_passes(self.admin, ms)
        self.model.now += ms
        self.held = [replace(entry, due_ms=entry.due_ms - ms) for entry in self.held]
        self.claims = [
            (*claimed, due._replace(claimed_until_ms=due.claimed_until_ms - ms), at)
            for *claimed, due, at in self.claims
        ]
        self.model.leases = {sid: due_ms - ms for sid, due_ms in self.model.leases.items()}

    @precondition(lambda self: self.stores.keyring is not ROTATED)
    @rule()
    def rotate_keys(self):
        self.stores = self.stores.under(ROTATED)

    # --- shared steps ---------------------------------------------------------------------------

    def life(self):
        """Return until when a record lives whose newest code was sent now."""
        return self.model.now + TTL_MS + LATE_MS

    def recent(self, which):
        return self.model.all[-1 - which % len(self.model.all)]

    # --- what must hold after every step ------------------------------------------------------

    @invariant()
    def redis_holds_what_was_promised(self):
        dump = self.admin.eval(_DUMP, 0)
        assert [key for key, pttl, _ in dump if pttl < 0] == [], "every key has a TTL"
        held = {key.decode(): content for key, _, content in dump}
        assert _members(held, ":outbox") == set(self.model.pending), "no entry is lost, none is invented"
        assert _fields(held, ":outbox:info") == set(self.model.pending)
        assert _members(held, ":failed") == _fields(held, ":failed:info") == self.model.failed
        alive = {redis_keys.verification(each.id): each for each in self.model.all if not self.model.forgotten(each)}
        assert {key for key in held if ":v:" in key} == set(alive), "no write revives an expired record"
        for key, verification in alive.items():
            self.record_agrees(verification, dict(zip(held[key][::2], held[key][1::2], strict=True)))
        # What has ended may still be in the set, until it is due or the set expires.
        undecided = [each for each in alive.values() if each.state == "pending" and not self.model.ended_by_time(each)]
        waiting = {each.id for each in undecided if each.due_ms is not None}
        scheduled = _members(held, ":fallbacks")
        assert waiting == scheduled & {each.id for each in undecided}, "a next channel waits, or does not"

        links = {
            redis_keys.link(partition_of(each.id), self.stores.digests(each.id, send.code)[0]): each.id.encode()
            for each in alive.values()
            for send in each.sends
            if self.stores.action is Action.LINK and not send.taken_back
        }
        assert {key: content for key, content in held.items() if ":link:" in key} == links, "a link lives as its record"

        for to, streak in self.model.streak.items():
            record = held.get(self.stores.number_key(to), [])
            stored = dict(zip(record[::2], record[1::2], strict=True)).get(b"streak", b"0")
            assert int(stored) == streak, "failed checks in a row are counted until an approval"

    def record_agrees(self, verification, record):
        assert record[field_of("status").encode()] == verification.state.encode()
        counted = [int(record[field_of(name).encode()]) for name in ("attempts", "sends")]
        assert counted == [verification.attempts, len(verification.sends)]
        assert record.get(field_of("further").encode(), b"").decode() == verification.further
        for send in verification.sends:
            names = ("sid", "feedback", "status")
            stored = {name: record.get(field_of(name, send.number).encode(), b"").decode() for name in names}
            assert stored["sid"] == (send.sid or "")
            assert stored["feedback"] == ("" if send.feedback == "none" else send.feedback)
            unknown = "unknown" if send.is_noted else ""
            assert stored["status"][1:] == (unknown if send.status == "unknown" else send.status)

    @invariant()
    def every_entry_has_its_place(self):
        """Each message whose right code was checked is pending, failed, confirmed or waiting: in exactly one place."""
        stored = {sid: send.feedback for sid, send in self.model.send_of.items()}
        for place in ("pending", "failed", "confirmed"):
            assert {sid for sid, feedback in stored.items() if feedback == place} == set(getattr(self.model, place))
        for verification in self.model.all:
            if verification.approved_send:
                assert verification.approved_send.feedback in ("awaiting_sid", "pending", "confirmed", "failed")


def _members(held, end):
    return {sid.decode() for key, content in held.items() if key.endswith(end) for sid in content}


def _fields(held, end):
    return {sid.decode() for key, content in held.items() if key.endswith(end) for sid in content[::2]}


def _run_machine(url, **profile):
    """Run the machine on a Valkey, in an event loop of its own."""
    with redis_py.Redis.from_url(url) as admin, asyncio.Runner() as runner:
        stack = AsyncExitStack()
        stores = runner.run(stack.enter_async_context(open_stores(Engine("valkey", url, admin), policy=MACHINE_POLICY)))
        try:
            run_state_machine_as_test(
                lambda: Promises(stores, runner.run),
                settings=settings(
                    deadline=None,
                    print_blob=True,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                    phases=(Phase.explicit, Phase.generate, Phase.shrink),
                    **profile,
                ),
            )
        finally:
            runner.run(stack.aclose())
            admin.flushall()


def test_the_promises_hold_in_any_order_of_steps(valkey):
    """Whatever the order of steps, codes are accepted once, entries stay until they are posted, every key has a TTL."""
    _run_machine(valkey, max_examples=60, stateful_step_count=40)


@pytest.mark.slow
@pytest.mark.timeout(60 + RUNS)
def test_the_promises_hold_in_many_long_runs(valkey):
    """The same promises, in many runs of up to fifty steps."""
    _run_machine(valkey, max_examples=RUNS, stateful_step_count=50)
