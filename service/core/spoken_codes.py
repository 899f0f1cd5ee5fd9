"""Codes that a call says: sealed on the way through the provider, and said only while they are worth something.

A call is made with instructions that hold no code. When the person presses a key, the provider asks us what to say, and
brings the sealed code back: nothing else keeps it in clear. The seal is bound to the verification and the send, so it
fits no other call. A provider may place a call late, so the verification is read again before anything is said.
"""

import base64
import binascii
import json

from service.core.delivery import DeliveryReports
from service.core.keyring import Keyring, SealBroken
from service.core.sender import Speech
from service.core.verification import Delivery, Send, Status, Verification
from service.core.verification_store import UnknownVerification, VerificationStore


class CodeEnded(Exception):
    """The code is not accepted any more, so it is not said. `is_approved`: because it is not needed any more."""

    def __init__(self, locale: str, *, is_approved: bool) -> None:
        super().__init__("the code is not accepted any more")
        self.locale = locale
        self.is_approved = is_approved


class SpeechSeal:
    """Hides what a call says from everybody but us."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def seal(self, verification_id: str, send_number: int, speech: Speech) -> str:
        """Seal what this send says, as text that may stand in an address."""
        content = json.dumps([speech.locale, speech.brand, speech.code]).encode()
        sealed = self._keyring.seal(_context(verification_id, send_number), content)
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, verification_id: str, send_number: int, sealed: str) -> Speech:
        """Open what `seal` made for this send. Raises `SealBroken`."""
        try:
            raw = base64.b64decode(sealed + "=" * (-len(sealed) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise SealBroken("the sealed value is not base64url") from None
        return Speech(*json.loads(self._keyring.unseal(_context(verification_id, send_number), raw)))


class SpokenCodes:
    """Gives out the code of a call after a key was pressed, and records that the call reached the person."""

    def __init__(
        self, store: VerificationStore, seal: SpeechSeal, reports: DeliveryReports, *, supersede_codes: bool = False
    ) -> None:
        self._store = store
        self._supersede_codes = supersede_codes
        self._seal = seal
        self._reports = reports

    async def hear(self, verification_id: str, send_number: int, sealed: str, *, sid: str) -> Speech:
        """Return what the call `sid` says now; the send is then `delivered`. May be repeated.

        Raises `SealBroken`, `UnknownVerification`, `CodeEnded` and `StoreUnavailable`: then nothing is said.
        """
        speech = self._seal.open(verification_id, send_number, sealed)
        verification = await self._store.read(verification_id)
        send = next((send for send in verification.sends if send.number == send_number), None)
        if send is None:
            raise UnknownVerification
        await self._reports.record(verification_id, send_number, sid=sid, status=Delivery.DELIVERED, error_code=None)
        if not _is_accepted(verification, send) or (self._supersede_codes and _is_superseded(verification, send)):
            raise CodeEnded(speech.locale, is_approved=verification.status is Status.APPROVED)
        return speech


def _is_accepted(verification: Verification, send: Send) -> bool:
    expires_at_ms = send.sent_at_ms + verification.request.ttl_seconds * 1000
    return verification.status is Status.PENDING and verification.read_at_ms < expires_at_ms


def _is_superseded(verification: Verification, send: Send) -> bool:
    """Tell whether a later message was handed to the provider, or is being handed. One that failed perhaps was not."""
    return any(later.number > send.number and later.status is not Delivery.FAILED for later in verification.sends)


def _context(verification_id: str, send_number: int) -> str:
    return f"spoken|{verification_id}|{send_number}"
