"""Calls by Twilio that say a code: only after the person has pressed a key, so that no answering machine hears it.

The call brings its instructions along (inline TwiML). They hold no code: it is sealed in the address that Twilio asks
when a key was pressed. A call has no Message SID and takes no confirmation.
(https://www.twilio.com/docs/voice/api/call-resource)
"""

from collections.abc import Callable

from service.core.sender import AcceptedMessage, ConfirmRefused, OutgoingMessage, Speech
from service.providers.twilio.account import TwilioAccount
from service.providers.twilio.posting import Posting, call_callback, key_callback
from service.providers.twilio.statuses import is_call_sid
from service.providers.twilio.transport import form_of
from service.providers.twilio.twiml import greeted

_RING_SECONDS = 25  # Twilio may add 5; a voicemail answers later
_LONGEST_CALL_SECONDS = 120
_EVENTS = ["initiated", "ringing", "answered", "completed"]

Seal = Callable[[str, int, Speech], str]


class CallSender:
    """The `Sender` of calls; `seal(verification id, send number, speech)` hides what is said after the key."""

    provider = "Twilio"

    def __init__(self, account: TwilioAccount, posting: Posting, seal: Seal) -> None:
        self._account = account
        self._posting = posting
        self._seal = seal

    async def send(self, message: OutgoingMessage) -> AcceptedMessage:
        """Post one call. Raises `SendRefused`, `SendPostponed` or `SendUnknown`, and nothing else."""
        return await self._posting.call(form_of(self._fields_of(message)))

    @staticmethod
    def is_sid(text: str) -> bool:
        """Tell whether a text has the form of a Call SID."""
        return is_call_sid(text)

    async def confirm(self, sid: str) -> None:  # noqa: ARG002 - the Protocol's signature
        """Raise `ConfirmRefused`: Twilio takes feedback of messages only."""
        raise ConfirmRefused("a call takes no confirmation")

    def _fields_of(self, message: OutgoingMessage) -> dict[str, str | int | list[str]]:
        speech, public_url = message.content, self._account.public_url or ""
        if not isinstance(speech, Speech):
            raise TypeError("only speech is sent by this channel")
        sealed = self._seal(message.verification_id, message.send_number, speech)
        return {
            "To": message.to,
            "From": self._account.voice_from or "",
            "Twiml": greeted(speech, action=key_callback(message, public_url, sealed)),
            "Timeout": _RING_SECONDS,
            "TimeLimit": _LONGEST_CALL_SECONDS,
            "StatusCallback": call_callback(message, public_url),
            "StatusCallbackEvent": _EVENTS,
        }
