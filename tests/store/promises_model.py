"""The promises as a model in plain Python: the expected result of every step. It knows the domain, but no Redis.

Its clock advances only when `test_promises_machine.py` adds to `now`, in steps of 250 s. No sum of steps equals a
TTL, a window, a lease or a delay, so the milliseconds that a run itself takes never decide a result.
"""

from dataclasses import dataclass, field

from service.core.channels import CHANNELS, DEFAULT_CHANNEL, Channel
from service.core.limits import Limited
from service.core.searching import MOST_LISTED
from service.core.verification import Verification
from service.core.verification_store import NotPending, Overtaken, SameCode, SendsExhausted, UnknownVerification
from tests.store.engines import NUMBER, OTHER_NUMBER

STEP_MS = 250_000
TTL_MS, LATE_MS, WINDOW_MS, LEASE_MS, DELAY_MS = 600_000, 1_000_000, 1_100_000, 300_000, 100_000
IDEMPOTENT_MS = 60_000
FAILED_MS = 60_000  # how long a verification is kept whose message Twilio was too busy to take
WAITING_MS = 3_600_000  # a confirmation that waits for its SID keeps its record at least this long
FALLBACK_LEASE_MS, DUE_AGAIN_MS = 30_000, 10_000
MOST_ATTEMPTS, MOST_SENDS, MOST_PER_NUMBER, MOST_FAILED, MOST_IN_A_ROW = 4, 4, 9, 4, 5
RANKS = {"unknown": 0, "queued": 1, "sent": 2, "delivered": 3, "undelivered": 3, "failed": 3, "read": 4}


@dataclass(eq=False)
class ModelSend:
    """One send in the model."""

    number: int
    code: str
    sent_ms: int
    channel: Channel = DEFAULT_CHANNEL
    sid: str | None = None
    feedback: str = "none"
    status: str = "unknown"
    taken_back: bool = False
    is_noted: bool = False  # handed to Twilio without a clear response

    @property
    def was_handed(self):
        """Return whether Twilio has the message, or may have it."""
        return self.sid is not None or self.is_noted


@dataclass(eq=False)
class ModelVerification:
    """One verification in the model."""

    real: Verification
    to: str
    purpose: str
    sends: list[ModelSend]
    lives_until_ms: int  # the life of the record itself
    owner: str = "alpha"
    state: str = "pending"
    is_passing: bool = False  # it failed, and a repeat may succeed
    attempts: int = 0
    approved_send: ModelSend | None = None
    stored_verdicts: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    steps: list[tuple[str, int]] | None = None  # what is left of its list of channels, with waits in s; None: no list
    wait_seconds: int = 0  # for news of the newest send
    due_ms: int | None = None  # when the next channel is
    claim: object | None = None  # the one that may send by it

    @property
    def further(self):
        """Write what is left of the list as the record holds it."""
        if self.steps is None:
            return ""
        return f"{self.wait_seconds}|" + ",".join(f"{channel}:{wait}" for channel, wait in self.steps)

    def follow_in(self, ms, now):
        """Let the next channel be due; if none is left, never. No earlier claim may send by it."""
        self.due_ms, self.claim = (now + ms if self.steps else None), None

    def take_step(self, channel, now):
        """Take the channel of the newest send from the list, and begin that channel's own wait for the next one."""
        if self.steps is None:
            return
        waits = dict(self.steps)
        if channel in waits:
            self.wait_seconds = waits[channel]
        elif channel != self.sends[-2].channel:
            self.wait_seconds = CHANNELS[channel].wait_seconds
        self.steps = [step for step in self.steps if step[0] != channel]
        self.follow_in(self.wait_seconds * 1000, now)

    @property
    def id(self):
        return self.real.id

    @property
    def newest(self):
        """Return the newest send that was not taken back; if all were, the newest."""
        return next((send for send in reversed(self.sends) if not send.taken_back), self.sends[-1])

    def take_back(self, send, *, passing, now, may_follow=False, claimed=None):
        """Take back a send that was not sent; a resend that Twilio was only too busy for is removed.

        `claimed`: what was left of the list when this send was claimed as the next one of it.
        """
        is_newest = self.state == "pending" and send is self.sends[-1]
        is_followed = is_newest and may_follow and bool(self.steps)
        passing = passing and not is_followed
        is_tried_again = is_newest and passing and claimed is not None
        send.taken_back, send.status = True, "failed"
        if all(other.taken_back for other in self.sends) and not is_tried_again:
            if self.state == "pending" and not is_followed:
                self.state, self.is_passing = "failed", passing
                self.lives_until_ms = min(self.lives_until_ms, now + FAILED_MS) if passing else self.lives_until_ms
        elif passing and send is self.sends[-1]:
            self.sends.pop()
        if is_followed:
            self.follow_in(0, now)
        elif is_tried_again:
            self.wait_seconds, self.steps = claimed
            self.follow_in(DUE_AGAIN_MS, now)
        elif is_newest and not passing:
            self.due_ms = None
        return is_followed

    @property
    def leaves_no_trace(self):
        """Return whether its only message was not sent, because Twilio was busy."""
        return self.state == "failed" and self.is_passing

    def carrier(self, code):
        """Return the send that has a code and was not taken back."""
        return next((send for send in self.sends if send.code == code and not send.taken_back), None)


class Model:
    """The expected state according to the promises."""

    def __init__(self):
        self.now = 0
        self.strict = False
        self.by_message = False  # people answer by messages, whose senders can be forged
        self.all = []
        self.sent_to = {NUMBER: [], OTHER_NUMBER: []}
        self.failed_at = {NUMBER: [], OTHER_NUMBER: []}
        self.streak = {NUMBER: 0, OTHER_NUMBER: 0}  # failed checks since the last approval
        self.listed = {NUMBER: [], OTHER_NUMBER: []}  # the index: oldest first
        self.send_of = {}  # by SID
        self.pending = {}  # SID -> when it is due
        self.leases = {}  # SID -> until when it is leased on Redis's clock, which only the holder knows
        self.failed, self.confirmed = set(), set()

    def expected(self, verification, code, to, purpose):
        """Return the verdict that the promises require, and the send whose code was compared and matched."""
        state = verification.state
        if self.is_uncounted(verification):
            return {"approved": "used", "canceled": "canceled"}.get(state, "locked"), None
        if to not in (None, verification.to) or purpose not in (None, verification.purpose):
            return "mismatch", None
        send = verification.carrier(code)
        return ("wrong_code" if send is None else self.verdict_on(verification, send)), send

    def expecting(self, to, answer_id):
        """List the verifications that a message of a number may answer, newest first."""
        listed = [each for each in reversed(self.listed[to]) if not self.forgotten(each)]
        repeated = [each for each in listed if answer_id in each.stored_verdicts]
        return repeated or [each for each in listed if each.attempts < MOST_ATTEMPTS]

    def is_uncounted(self, verification):
        """Return whether a check is neither counted nor compared: no attempts are left, or the number is stopped."""
        return verification.attempts >= MOST_ATTEMPTS or self.stopped(verification.to)

    def stopped(self, to):
        """Return whether a number is stopped until an operator releases it."""
        return self.streak[to] >= MOST_IN_A_ROW

    def verdict_on(self, verification, send):
        """Return the verdict on the code of a send now."""
        if verification.state != "pending":
            return {"approved": "used", "canceled": "canceled"}[verification.state]
        if self.now >= send.sent_ms + TTL_MS:
            return "expired"
        later = [other for other in verification.sends[send.number :] if other.was_handed]
        return "superseded" if self.strict and later else "approved"

    def count_check(self, verification, verdict, send, *, is_free=False):
        """Apply a check to the model; only one that `is_free` costs no attempt."""
        verification.attempts += not is_free
        is_failed = verdict in ("wrong_code", "mismatch") and verification.state != "failed"
        if is_failed and not self.by_message:
            self.failed_at[verification.to].append(self.now)
            self.streak[verification.to] += 1
        if verdict == "approved":
            assert verification.approved_send is None, "a code is accepted at most once"
            verification.state, verification.approved_send = "approved", send
            self.streak[verification.to] = 0
        elif verification.state == "pending" and verification.attempts >= MOST_ATTEMPTS:
            verification.state = "max_attempts_reached"
        if send and send.feedback == "none":
            if send.sid:
                self.enqueue(send)
            else:
                send.feedback = "awaiting_sid"
                verification.lives_until_ms = max(verification.lives_until_ms, self.now + WAITING_MS)

    def enqueue(self, send):
        """Record that a send's confirmation is due now, and not leased."""
        send.feedback = "pending"
        self.pending[send.sid] = self.now
        self.leases.pop(send.sid, None)

    def used_up(self, instants, most):
        """Return whether a window of a number is full."""
        return sum(self.now - instant < WINDOW_MS for instant in instants) >= most

    def limited(self, to):
        """Return whether a number gets no message now: too many sends, or too many failed checks."""
        return (
            self.used_up([send.sent_ms for send in self.sent_to[to]], MOST_PER_NUMBER)
            or self.used_up(self.failed_at[to], MOST_FAILED)
            or self.stopped(to)
        )

    def release(self, to):
        """Delete what is remembered of a number."""
        self.sent_to[to], self.failed_at[to], self.streak[to] = [], [], 0

    def list(self, verification):
        """Add a new verification to the index of its number."""
        self.listed[verification.to] = [*self.listed[verification.to], verification][-MOST_LISTED:]

    def found(self, to, owner):
        """Name the verifications of a number that an owner must find, newest first."""
        return [each.id for each in reversed(self.listed[to]) if each.owner == owner and not self.forgotten(each)]

    def forgotten(self, verification):
        """Return whether the record has expired."""
        return self.now >= verification.lives_until_ms

    def ended_by_time(self, verification):
        """Return whether the newest code has expired."""
        return self.now >= verification.newest.sent_ms + TTL_MS

    def needs_channel(self, verification):
        """Return whether the next channel may still follow."""
        return (
            bool(verification.steps)
            and not self.forgotten(verification)
            and verification.state == "pending"
            and not self.ended_by_time(verification)
            and len(verification.sends) < MOST_SENDS
        )

    def due_channels(self, partition):
        """Return the verifications of a partition whose next channel can be claimed now."""
        scheduled = [each for each in self.all if each.id[3] == partition and each.due_ms is not None]
        return [each for each in scheduled if each.due_ms <= self.now and self.needs_channel(each)]

    def due(self, partition):
        """Return the SIDs of a partition that can be claimed now."""
        here = {send.sid for each in self.all if each.id[3] == partition for send in each.sends}
        return {sid for sid, due_ms in self.pending.items() if sid in here and due_ms <= self.now}

    def why_no_resend(self, verification, code, claim=None):
        """Return the exception with which a resend with this code must be refused, or None if it must succeed.

        `claim`: it follows by the next channel of a list.
        """
        if self.forgotten(verification):
            return UnknownVerification
        if verification.state != "pending" or self.ended_by_time(verification):
            return NotPending
        if claim is not None and verification.claim is not claim:
            return Overtaken
        if len(verification.sends) >= MOST_SENDS:
            return SendsExhausted
        if self.limited(verification.to):
            return Limited
        return SameCode if verification.carrier(code) else None
