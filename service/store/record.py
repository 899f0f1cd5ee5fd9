"""Records: how a new verification is written, and how what the scripts show is read; the fields are in `fields`.

Numbers are encrypted and codes are digests. The scripts decide what the fields come to.
"""

from collections.abc import Sequence
from typing import Any

from service.core.channels import Channel, Step
from service.core.keyring import Keyring, SealBroken
from service.core.payment import Payment
from service.core.store_health import UNREADABLE, StoreUnavailable
from service.core.verification import Delivery, Feedback, Send, Status, Verification, VerificationRequest
from service.core.verification_store import NewVerification
from service.store.fields import COUNTED, FORMAT_VERSION, Fields

_STEP_MS = 5000  # as in clock.lua: what was sent further in the future has expired
_STATUSES = {word.encode(): word for word in Status}
_FIRST_OF_STATE = 5  # of what `shown.lua` shows
_NOT_COUNTED = (None,) * len(COUNTED)


class Records:
    """Writes and reads records."""

    def __init__(self, keyring: Keyring, fields: Fields, confirmed: frozenset[Channel] = frozenset()) -> None:
        self._keyring = keyring
        self._fields = fields
        self._confirmed = confirmed  # channels whose messages are confirmed; only for new sends
        first_of_request = _FIRST_OF_STATE + fields.state_places
        self._places = first_of_request, first_of_request + fields.request_places, fields.send_places

    def new(self, new: NewVerification) -> list[Any]:
        """Write what a new record holds beside what the script adds, as field, value, field, value."""
        fields = self._fields
        values = new._asdict() | self._payment(new) | {"further": written_list(new.wait_seconds, new.further)}
        return [
            *fields.written(**values, format=FORMAT_VERSION, number=self.sealed(new.id, new.to)),
            *self.new_request(new.request),
            *self.new_send(1, new.channel, is_test=new.is_test),
        ]

    def new_request(self, request: VerificationRequest) -> list[Any]:
        """Write a request."""
        return self._fields.written_request(request)

    def new_send(self, number: int | str, channel: Channel, *, is_test: bool, **more: Any) -> list[Any]:
        """Write what a new send holds beside what the script adds."""
        # Nothing is sent to a test number.
        feedback = None if channel in self._confirmed and not is_test else Feedback.NONE
        return self._fields.written_send(number, channel=channel, feedback=feedback, **more)

    def sealed(self, verification_id: str, to: str) -> bytes:
        """Encrypt a number under the newest key."""
        return self._keyring.seal(verification_id, to.encode())

    def _payment(self, new: NewVerification) -> dict[str, Any]:
        if new.payment is None:
            return {}
        content = new.payment.content
        sealed = self._keyring.seal(_payment_of(new.id), content)
        return {"payment": sealed, "payment_tag": self._keyring.payment_tag(new.id, content)}

    def number(self, verification_id: str, sealed: bytes) -> str:
        """Read a number. Raises `StoreUnavailable` if no key decrypts it."""
        return self._unsealed(verification_id, sealed).decode()

    def payment(self, verification_id: str, sealed: bytes | None) -> Payment | None:
        """Read a payment. Raises `StoreUnavailable` if no key decrypts it."""
        if sealed is None:
            return None
        return Payment.read(self._unsealed(_payment_of(verification_id), sealed))

    def _unsealed(self, context: str, sealed: bytes) -> bytes:
        try:
            return self._keyring.unseal(context, sealed)
        except SealBroken as broken:
            raise StoreUnavailable(str(broken), UNREADABLE) from None

    def issued(self, new: NewVerification, now_ms: int, resend_at_ms: int) -> Verification:
        """Tell what a record that was just written holds: what reading it back would tell."""
        return Verification(
            id=new.id,
            to=new.to,
            status=Status.PENDING,
            request=new.request,
            sends=(Send(1, new.channel, Delivery.UNKNOWN, None, now_ms, Feedback.NONE),),
            expires_at_ms=now_ms + new.request.ttl_seconds * 1000,
            read_at_ms=now_ms,
            attempts=0,
            resend_at_ms=resend_at_ms,
            is_test=new.is_test,
            number_tag=new.number_tag,
            client_tag=new.client_tag,
            key_tag=new.key_tag,
            payment=new.payment,
            further=written_list(new.wait_seconds, new.further),
            owner=new.owner,
        )

    def read(self, verification_id: str, shown: Sequence[Any], *counted: Any) -> Verification:
        """Read what `shown.lua` shows and `read.lua` adds. Raises `StoreUnavailable` if no key decrypts the number."""
        fields = self._fields
        now_ms, state, sends_made, newest, sealed = shown[:_FIRST_OF_STATE]
        to = self.number(verification_id, sealed)
        first_of_request, first_of_sends, of_a_send = self._places
        request = fields.read_request(shown, first_of_request)
        sends = tuple(
            [
                fields.read_send(shown, place, number)
                for number, place in enumerate(range(first_of_sends, len(shown), of_a_send), 1)
            ]
        )
        status, sent_at_ms = _STATUSES[state], sends[(newest or sends_made) - 1].sent_at_ms
        since_ms, expires_at_ms = sent_at_ms - _STEP_MS, sent_at_ms + request.ttl_seconds * 1000
        if status is Status.PENDING and not since_ms <= now_ms < expires_at_ms:
            status = Status.EXPIRED
        # By place, in the order of its fields: by name it would take as long as decrypting the number.
        return Verification._make(
            (
                *(verification_id, to, status, request, sends, expires_at_ms, now_ms),
                *fields.read_state(shown, _FIRST_OF_STATE),
                *(self._counted(verification_id, counted) if counted else _NOT_COUNTED),
                False,  # is_followed
            )
        )

    def _counted(self, verification_id: str, counted: Sequence[Any]) -> Sequence[Any]:
        *tags, sealed = self._fields.read_counted(counted, 0)
        return *tags, self.payment(verification_id, sealed)


def _payment_of(verification_id: str) -> str:
    return f"{verification_id} payment"


def written_list(wait_seconds: int, further: Sequence[Step]) -> str | None:
    """Write a list of channels, beginning with the wait for the first: as `further.lua` says."""
    if not further:
        return None
    return f"{wait_seconds}|" + ",".join(f"{step.channel}:{step.wait_seconds}" for step in further)


def next_channel(further: str) -> Channel:
    """Read the next channel of a list that was written; there must be one."""
    return Channel(further.partition("|")[2].partition(":")[0])
