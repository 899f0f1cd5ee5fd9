"""The Protocol of the store of verifications, with its values and errors. Its docstrings are the contract.

`service.store.verifications` implements it. No error contains a number, a code or a credential.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from service.core.actions import Action
from service.core.channels import DEFAULT_CHANNEL, Channel, Step
from service.core.payment import Payment
from service.core.verification import CheckResult, Delivery, Verification, VerificationRequest


class NewVerification(NamedTuple):
    """What `VerificationStore.issue` writes; the code enters only as its digest."""

    id: str
    to: str
    number_tag: str
    request: VerificationRequest
    channel: Channel = DEFAULT_CHANNEL
    wait_seconds: int = 0  # before the first of these follows
    further: tuple[Step, ...] = ()  # the rest of its list of channels
    is_test: bool = False  # nothing is sent, so nothing is ever confirmed
    owner: str | None = None  # only API keys of this owner find the verification
    client_tag: str | None = None
    key_tag: str | None = None
    payment: Payment | None = None


class Check(NamedTuple):
    """One answer by a person, as digests (newest key first)."""

    verification_id: str
    digests: tuple[bytes, ...]
    to: str | None = None
    purpose: str | None = None
    owner: str | None = None  # another owner's verification is unknown
    action: Action | None = None  # which secret it is; None: a code
    idempotency_key: str | None = None  # as its HMAC
    fingerprint: str = "0"
    matching: "Matching | None" = None  # of an action that has a match
    # A stranger can answer in the name of the number: failures do not count against it, and a repeat is known for good.
    is_forgeable: bool = False
    payment: Payment | None = None  # with which the secret was digested


class Matching(StrEnum):
    """How the match compares that came with a secret; it decides only if the secret is right."""

    MATCHED = "matched"  # the right one
    MISMATCHED = "mismatched"  # a wrong one
    ABSENT = "absent"  # none, with a secret that is known to be right: who repeats a message has guessed nothing
    DECLINED = "declined"  # "It wasn't me", on the page of a link


class WrittenSend(NamedTuple):
    """A send that was written, or may have been, identified by its code: the newest send with this digest."""

    verification_id: str
    number_tag: str
    digest: bytes
    after: int  # how many sends there were before
    due: "DueFallback | None" = None  # if the next channel of a list followed


class DueFallback(NamedTuple):
    """A verification whose next channel is due, claimed for one process until the lease ends."""

    verification: Verification
    channel: Channel
    further: str  # what was left of its list, as the store writes it
    claimed_until_ms: int


class Overtaken(Exception):
    """What was claimed is no longer so: another process has taken it, or somebody asked for a message meanwhile."""


class UnknownVerification(Exception):
    """No verification has this id, or its record has expired."""


class WrongAction(Exception):
    """The verification asks for the secret of another action: nothing was compared, counted or confirmed."""


class NotPending(Exception):
    """The verification has ended, so nothing more is sent for it."""

    def __init__(self, verification: Verification) -> None:
        super().__init__(verification.status)
        self.verification = verification


class AlreadySent(Exception):
    """The same Idempotency-Key has asked for a send of this verification before: nothing was added."""

    def __init__(self, verification: Verification) -> None:
        super().__init__("already sent")
        self.verification = verification


class SendsExhausted(Exception):
    """The verification has had all its sends."""


class IdTaken(Exception):
    """A verification has this id already: another process took this request for failed, and has issued."""


class SameCode(Exception):
    """An earlier send of this verification carries the same code; draw again."""


class VerificationStore(Protocol):
    """Keeps verifications. Every method is one atomic step; all raise `StoreUnavailable`.

    Methods that take an id raise `UnknownVerification` unless they say otherwise. With `owner` given, so does a
    verification of another owner: nothing of it is shown, counted or changed.
    """

    async def issue(self, new: NewVerification, digest: bytes) -> Verification:
        """Write a verification and its first send, before anything is sent. Raises `Limited`, `IdTaken`."""

    async def resend(
        self,
        verification: Verification,
        digests: Sequence[bytes],
        channel: Channel,
        *,
        idempotency_tag: str | None = None,
        is_test: bool = False,
        due: DueFallback | None = None,
    ) -> Verification:
        """Write the next send, and which Idempotency-Key asked for it. To a test number the same code may go again.

        With `due` it is the next of a list of channels, which is taken from the list in the same step; the wait for the
        one after it begins. Without, somebody asked for the send: its channel is taken from what is left of the list,
        and that channel's own wait begins. Raises `Limited`, `NotPending`, `SendsExhausted`, `SameCode`, `AlreadySent`,
        and `Overtaken` if `due` was claimed again or is no longer due.
        """

    async def count_blocked(
        self, verification_id: str, request: VerificationRequest, channel: Channel, *, send_number: int, reason: str
    ) -> None:
        """Count a send that was refused before it was written."""

    async def deliver(
        self,
        verification_id: str,
        send_number: int,
        *,
        sid: str,
        status: Delivery,
        error_code: int | None = None,
        sender: str | None = None,
        may_follow: bool = True,
    ) -> bool | None:
        """Record the SID, status and sender of a send; tell whether a waiting confirmation became pending.

        If the newest send has failed, the next channel of a list is due now, or never without `may_follow`; if it has
        arrived, none is. May be repeated. An unknown verification or send, or another SID, changes nothing: then it
        returns None.
        """

    async def refuse(
        self,
        verification: Verification,
        send_number: int,
        *,
        error_code: int | None,
        passing: bool,
        may_follow: bool = False,
        due: DueFallback | None = None,
    ) -> Verification:
        """Take back a send that was certainly not sent.

        The number's limit gets it back. `passing`: a resend leaves no trace, and if it was the `due` one of a list, its
        channel is due again soon. Otherwise it stays, as failed, and with `may_follow` the next channel of a list is
        due now; then `is_followed` is true.
        """

    async def secure(self, verification: Verification) -> None:
        """Make sure that a failover does not lose what was written of a verification, as `issue` and `resend` do."""

    async def take_back(self, send: WrittenSend) -> None:
        """Take back a send that was never handed to the provider, as if it were `passing`.

        Raises `UnknownVerification` also when there is no such send.
        """

    async def note_handed(self, verification_id: str, send_number: int) -> None:
        """Note that a send was handed to the provider, which gave no clear answer: it may have gone out. Repeatable.

        An unknown verification or send changes nothing, nor does a send whose status is known.
        """

    async def check(self, check: Check) -> CheckResult:
        """Decide a check: count, compare, consume once, enqueue. Raises `OtherBody`, `WrongAction`."""

    async def cancel(self, verification_id: str, *, owner: str | None = None) -> Verification:
        """End a pending verification; one that has ended stays as it is."""

    async def read(self, verification_id: str, *, owner: str | None = None) -> Verification:
        """Read a verification as it stands now, with what its resends are counted under."""
