"""The promises as a state machine: any order of steps, on a real Valkey, against a model in plain Python.

The model knows DESIGN's words and no Redis. Its clock stands still but for the rule `time_passes`, whose steps never
fall on an edge, so the milliseconds that the run itself takes decide nothing. After each step everything that Redis
holds is read in one go and compared.
"""

import asyncio
import hashlib
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

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

from service.adapters import redis_keys
from service.core.limits import Limits
from service.core.ports import Limited, NotPending, OtherBody, SameCode, SendsExhausted, UnknownVerification
from service.core.verification import Delivery, Verification
from tests.adapters.engines import (
    NUMBER,
    OTHER_NUMBER,
    POLICY,
    ROTATED,
    Engine,
    open_stores,
    sid_of,
    time_passes,
)

CODES = ("111111", "222222", "333333", "444444")
NEVER_SENT = "000000"
STRANGER = "SM" + "f" * 32
STEP_MS = 250_000  # no sum of steps is a TTL, a window, a lease or a delay
TTL_MS, LATE_MS, WINDOW_MS, LEASE_MS, DELAY_MS = 600_000, 1_000_000, 1_100_000, 300_000, 100_000
IDEMPOTENT_MS = 60_000
MOST_ATTEMPTS, MOST_SENDS, MOST_PER_NUMBER, MOST_FAILED = 4, 4, 9, 7
RANKS = {"unknown": 0, "queued": 1, "sent": 2, "delivered": 3, "undelivered": 3, "failed": 3, "read": 4}
STATES = {"max_attempts_reached": b"locked"}
MACHINE_POLICY = replace(
    POLICY,
    late_window_seconds=LATE_MS // 1000,
    max_attempts=MOST_ATTEMPTS,
    max_sends=MOST_SENDS,
    number=Limits(((MOST_PER_NUMBER, WINDOW_MS),)),
    failed_checks=Limits(((MOST_FAILED, WINDOW_MS),)),
)
# Everything that Redis holds, at one instant.
_DUMP = """
local dump, read = {}, {hash = {'HGETALL'}, zset = {'ZRANGE', 0, -1}}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local command, first, last = unpack(read[redis.call('TYPE', key).ok])
  local content = first and redis.call(command, key, first, last) or redis.call(command, key)
  dump[#dump + 1] = {key, redis.call('PTTL', key), content}
end
return dump
"""


@dataclass
class ModelSend:
    """One send as the promises see it."""

    number: int
    code: str
    sent_ms: int
    sid: str | None = None
    feedback: str = "none"
    status: str = "unknown"
    taken_back: bool = False


@dataclass(eq=False)
class ModelVerification:
    """One verification as the promises see it."""

    real: Verification
    to: str
    purpose: str
    sends: list[ModelSend]
    state: str = "pending"
    attempts: int = 0
    approved_send: ModelSend | None = None
    answers: dict[str, tuple[int, str, str]] = field(default_factory=dict)

    @property
    def id(self):
        return self.real.id

    def carrier(self, code):
        """Give the send that carries a code and was not taken back."""
        return next((send for send in self.sends if send.code == code and not send.taken_back), None)


has_verifications = precondition(lambda self: self.all)
recent = st.sampled_from((0, 0, 0, 1, 1, 2))  # how many verifications came after the one that is meant
keys = st.sampled_from((None, None, None, "k1", "k2"))
asked = st.sampled_from(
    ((None, None),) * 6 + ((NUMBER, None), (OTHER_NUMBER, None), (None, "login"), (None, "payment"))
)


class Promises(RuleBasedStateMachine):
    """Issues, resends, checks, cancels, delivers, confirms, waits; and knows what each step must come to."""

    def __init__(self, stores, run):
        super().__init__()
        self.run = run
        self.stores = stores
        self.admin = stores.admin
        self.admin.flushall()
        self.now = 0
        self.strict = False
        self.all = []
        self.sent_to = {NUMBER: [], OTHER_NUMBER: []}
        self.failed_at = {NUMBER: [], OTHER_NUMBER: []}
        self.owed, self.leases, self.dead, self.confirmed = {}, {}, set(), set()
        self.held = []
        self.send_of = {}

    @initialize(strict=st.booleans())
    def choose_policy(self, strict):
        self.strict = strict
        self.stores = self.stores.under(supersede_codes=strict)

    # --- sends --------------------------------------------------------------------------------

    @rule(
        to=st.sampled_from((NUMBER, NUMBER, OTHER_NUMBER)),
        purpose=st.sampled_from(("login", "payment")),
        code=st.sampled_from(CODES),
        answered=st.booleans(),
    )
    def issue(self, to, purpose, code, answered):
        if self.used_up(self.sent_to[to], MOST_PER_NUMBER):
            with pytest.raises(Limited):
                self.run(self.stores.issue(code, to=to, purpose=purpose))
            return
        real = self.run(self.stores.issue(code, to=to, purpose=purpose, ttl_seconds=TTL_MS // 1000))
        verification = ModelVerification(real, to, purpose, [ModelSend(1, code, self.now)])
        self.sent_to[to].append(self.now)
        self.all.append(verification)
        if answered:
            self.bring_home(verification, verification.sends[0])

    @has_verifications
    @rule(which=recent, code=st.sampled_from(CODES), answered=st.booleans())
    def resend(self, which, code, answered):
        verification = self.recent(which)
        refusal = self.why_no_resend(verification, code)
        if refusal:
            with pytest.raises(refusal):
                self.run(self.stores.resend(verification.real, code))
            return
        self.run(self.stores.resend(verification.real, code))
        verification.sends.append(ModelSend(len(verification.sends) + 1, code, self.now))
        self.sent_to[verification.to].append(self.now)
        if answered:
            self.bring_home(verification, verification.sends[-1])

    @has_verifications
    @rule(which=recent, passing=st.booleans())
    def twilio_refuses(self, which, passing):
        """Take the newest send back, as only happens while it has no SID."""
        verification = self.recent(which)
        send = verification.sends[-1]
        if send.sid or send.taken_back:
            return
        step = self.stores.verifications.refuse(verification.real, send.number, error_code=21211, passing=passing)
        if self.forgotten(verification):
            with pytest.raises(UnknownVerification):
                self.run(step)
            return
        self.run(step)
        send.taken_back, send.status = True, "failed"
        if verification.state == "pending" and all(other.taken_back for other in verification.sends):
            verification.state = "failed"
        if passing and send.sent_ms in self.sent_to[verification.to]:
            self.sent_to[verification.to].remove(send.sent_ms)

    @has_verifications
    @rule(
        which=recent,
        number=st.sampled_from((1, 1, 1, 2, 2, 3, 4)),
        status=st.sampled_from(list(RANKS)),
        sid_is_foreign=st.sampled_from((False, False, False, True)),
    )
    def twilio_says(self, which, number, status, sid_is_foreign):
        """Twilio's answer or a callback: late, doubled, out of order, for an unknown send, with a foreign SID."""
        verification = self.recent(which)
        send = verification.sends[number - 1] if number <= len(verification.sends) else None
        if send and (send.taken_back or (sid_is_foreign and send.sid is None)):
            return
        sid = STRANGER if sid_is_foreign else sid_of(verification, number)
        owes = self.run(self.stores.deliver(verification, number, sid=sid, status=Delivery(status)))
        if send is None or sid_is_foreign or self.forgotten(verification):
            assert owes is False
            return
        assert owes is (send.feedback == "waiting")
        send.sid = sid
        self.send_of[sid] = send
        if owes:
            self.owe(send)
        if RANKS[status] > RANKS[send.status]:
            send.status = status

    @has_verifications
    @rule(which=recent)
    def cancel(self, which):
        verification = self.recent(which)
        if self.forgotten(verification):
            with pytest.raises(UnknownVerification):
                self.run(self.stores.verifications.cancel(verification.id))
            return
        self.run(self.stores.verifications.cancel(verification.id))
        if verification.state == "pending" and not self.ended_by_time(verification):
            verification.state = "canceled"

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
        if self.forgotten(verification):
            with pytest.raises(UnknownVerification):
                self.run(step)
            return
        known = verification.answers.get(key)
        if known and self.now - known[0] <= IDEMPOTENT_MS:
            self.check_again(step, known, body)
            return
        verdict, send = self.expected(verification, code, to, purpose)
        is_counted = verdict != "locked" and verification.attempts < MOST_ATTEMPTS
        owes = bool(is_counted and send and send.feedback == "none" and send.sid)
        judgement = self.run(step)
        assert (judgement.verdict, judgement.owes, judgement.replayed) == (verdict, owes, False)
        if is_counted:
            self.count_check(verification, verdict, send)
            if key:
                verification.answers[key] = (self.now, body, verdict)

    def count_check(self, verification, verdict, send):
        """Do in the model what a judged check does."""
        verification.attempts += 1
        if verdict in ("wrong_code", "mismatch"):
            self.failed_at[verification.to].append(self.now)
        if verdict == "approved":
            assert verification.approved_send is None, "a code is accepted at most once"
            verification.state, verification.approved_send = "approved", send
        elif verification.state == "pending" and verification.attempts >= MOST_ATTEMPTS:
            verification.state = "max_attempts_reached"
        if send and send.feedback == "none":
            if send.sid:
                self.owe(send)
            else:
                send.feedback = "waiting"

    def check_again(self, step, known, body):
        """Repeat a check within its minute: the same answer for the same body, no answer for another."""
        if known[1] != body:
            with pytest.raises(OtherBody):
                self.run(step)
            return
        judgement = self.run(step)
        assert (judgement.verdict, judgement.replayed, judgement.owes) == (known[2], True, False)

    def expected(self, verification, code, to, purpose):
        """Tell the verdict that the promises demand, and the send whose code was compared and found."""
        state = verification.state
        if verification.attempts >= MOST_ATTEMPTS:
            return {"approved": "used", "canceled": "canceled"}.get(state, "locked"), None
        if state == "pending" and self.used_up(self.failed_at[verification.to], MOST_FAILED):
            return "locked", None
        if to not in (None, verification.to) or purpose not in (None, verification.purpose):
            return "mismatch", None
        send = verification.carrier(code)
        return ("wrong_code" if send is None else self.verdict_on(verification, send)), send

    def verdict_on(self, verification, send):
        """Tell what the code of a send is worth now."""
        if verification.state != "pending":
            return {"approved": "used", "canceled": "canceled"}[verification.state]
        if self.now >= send.sent_ms + TTL_MS:
            return "expired"
        later = [other for other in verification.sends[send.number :] if not other.taken_back]
        return "superseded" if self.strict and later else "approved"

    # --- the worker ---------------------------------------------------------------------------

    @precondition(lambda self: self.owed)
    @rule(to=st.sampled_from((NUMBER, NUMBER, OTHER_NUMBER)), most=st.integers(1, 3))
    def claim(self, to, most):
        partition = self.stores.keyring.partition(to)
        claim = self.run(self.stores.confirmations.claim(partition, lease_ms=LEASE_MS, most=most))
        due = {sid for sid, due_ms in self.owed.items() if due_ms <= self.now and self.lives_in(sid, partition)}
        leased = {debt.sid for debt in claim.debts}
        assert leased <= due
        assert len(leased) == len(claim.debts) == min(most, len(due))
        for debt in claim.debts:
            self.owed[debt.sid] = self.now + LEASE_MS
            self.leases[debt.sid] = debt.due_ms
            self.held.append(debt)

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 9), refused=st.booleans())
    def twilio_took_it(self, which, refused):
        """Settle or bury a debt that some worker once held: also one that was ended, or leased anew, since."""
        debt = self.held[which % len(self.held)]
        step = self.stores.confirmations.bury(debt, "404") if refused else self.stores.confirmations.settle(debt)
        assert self.run(step) is (debt.sid in self.owed)
        if debt.sid in self.owed:
            del self.owed[debt.sid]
            self.send_of[debt.sid].feedback = "dead" if refused else "confirmed"
            (self.dead if refused else self.confirmed).add(debt.sid)

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 9), was_tried=st.booleans())
    def twilio_is_busy(self, which, was_tried):
        """Postpone a debt that some worker once held; only the holder of the lease may."""
        debt = self.held[which % len(self.held)]
        is_holder = debt.sid in self.owed and self.leases.get(debt.sid) == debt.due_ms
        step = self.stores.confirmations.postpone(debt, delay_ms=DELAY_MS, was_tried=was_tried)
        assert self.run(step) is is_holder
        if is_holder:
            self.owed[debt.sid] = self.now + DELAY_MS
            del self.leases[debt.sid]

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 9))
    def replay(self, which):
        debt = self.held[which % len(self.held)]
        assert self.run(self.stores.confirmations.replay(debt)) is (debt.sid in self.dead)
        if debt.sid in self.dead:
            self.dead.remove(debt.sid)
            self.owe(self.send_of[debt.sid])

    # --- the world ----------------------------------------------------------------------------

    @rule(steps=st.sampled_from((1, 1, 1, 2, 6)))
    def time_passes(self, steps):
        ms = steps * STEP_MS
        time_passes(self.admin, ms)
        self.now += ms
        self.held = [replace(debt, due_ms=debt.due_ms - ms) for debt in self.held]
        self.leases = {sid: due_ms - ms for sid, due_ms in self.leases.items()}

    @precondition(lambda self: self.stores.keyring is not ROTATED)
    @rule()
    def keys_rotate(self):
        self.stores = self.stores.under(ROTATED)

    # --- what the model knows -----------------------------------------------------------------

    def recent(self, which):
        return self.all[-1 - which % len(self.all)]

    def bring_home(self, verification, send):
        """Twilio has answered the send at once, with its SID."""
        send.sid, send.status = sid_of(verification, send.number), "queued"
        self.send_of[send.sid] = send
        assert self.run(self.stores.deliver(verification, send.number)) is False

    def owe(self, send):
        send.feedback = "owed"
        self.owed[send.sid] = self.now
        self.leases.pop(send.sid, None)

    def used_up(self, instants, most):
        return sum(self.now - instant < WINDOW_MS for instant in instants) >= most

    def forgotten(self, verification):
        return self.now >= verification.sends[-1].sent_ms + TTL_MS + LATE_MS

    def ended_by_time(self, verification):
        return self.now >= verification.sends[-1].sent_ms + TTL_MS

    def lives_in(self, sid, partition):
        return any(
            send is self.send_of[sid] and verification.id[3] == partition
            for verification in self.all
            for send in verification.sends
        )

    def why_no_resend(self, verification, code):
        if self.forgotten(verification):
            return UnknownVerification
        if verification.state != "pending" or self.ended_by_time(verification):
            return NotPending
        if len(verification.sends) >= MOST_SENDS:
            return SendsExhausted
        if self.used_up(self.sent_to[verification.to], MOST_PER_NUMBER):
            return Limited
        return SameCode if verification.carrier(code) else None

    # --- what must hold after every step ------------------------------------------------------

    @invariant()
    def redis_holds_what_was_promised(self):
        dump = self.admin.eval(_DUMP, 0)
        assert [key for key, pttl, _ in dump if pttl < 0] == [], "every key has a TTL"
        held = {key.decode(): content for key, _, content in dump}
        assert _members(held, ":owed") == set(self.owed), "no debt is lost, none is invented"
        assert _fields(held, ":owed:info") == set(self.owed)
        assert _fields(held, ":dead") == self.dead
        alive = {redis_keys.verification(each.id): each for each in self.all if not self.forgotten(each)}
        assert {key for key in held if ":v:" in key} == set(alive), "no write revives an expired record"
        for key, verification in alive.items():
            self.record_agrees(verification, dict(zip(held[key][::2], held[key][1::2], strict=True)))

    def record_agrees(self, verification, record):
        state = STATES.get(verification.state, verification.state.encode())
        assert record[b"st"] == state
        assert (int(record[b"at"]), int(record[b"n"])) == (verification.attempts, len(verification.sends))
        for send in verification.sends:
            told = {name: record.get(f"{name}:{send.number}".encode(), b"").decode() for name in "sfd"}
            assert told["s"] == (send.sid or "")
            assert told["f"] == ("" if send.feedback == "none" else send.feedback)
            assert told["d"][1:] == ("" if send.status == "unknown" else send.status)

    @invariant()
    def every_debt_has_its_place(self):
        """Each message whose right code was judged is owed, dead, confirmed or waiting: in one place and no other."""
        places = [set(self.owed), self.dead, self.confirmed - set(self.owed) - self.dead]
        assert sum(map(len, places)) == len(set.union(*places))
        for verification in self.all:
            if verification.approved_send:
                assert verification.approved_send.feedback in ("waiting", "owed", "confirmed", "dead")


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
    """Whatever the order of steps, codes are accepted once, debts are kept until they are paid, nothing is immortal."""
    _run_machine(valkey, max_examples=150, stateful_step_count=40)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_promises_hold_in_thousands_of_long_runs(valkey):
    """The same promises, in two thousand runs of up to fifty steps."""
    _run_machine(valkey, max_examples=2000, stateful_step_count=50)
