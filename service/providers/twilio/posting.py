"""Posts one send, a message or a call, in one request; a failure is one of the three kinds that `Sender` names.

The addresses that Twilio calls about a send name the verification and the number of the send.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from pydantic_core import from_json

from service.core.sender import AcceptedMessage, OutgoingMessage, SendUnknown
from service.core.verification import Delivery
from service.providers.twilio.account import TwilioAccount
from service.providers.twilio.errors import send_failure
from service.providers.twilio.statuses import (
    CALLBACK_RETRIES,
    call_delivery_of,
    delivery_of,
    error_code_of,
    is_call_sid,
    is_message_sid,
)

LONGEST_VALIDITY_SECONDS = 36_000  # Twilio refuses more


class Posting:
    """Posts to the resources of one account; `request(method, uri, data=)` makes one request with its credentials."""

    def __init__(self, account: TwilioAccount, request: Callable[..., Awaitable[Any]]) -> None:
        self._request = request
        self._messages = f"/Accounts/{account.account_sid}/Messages.json"
        self._calls = f"/Accounts/{account.account_sid}/Calls.json"

    async def message(self, form: bytes) -> AcceptedMessage:
        """Post a message. Raises `SendRefused`, `SendPostponed` or `SendUnknown`, and nothing else."""
        # Not `messages.create_async`: it parses the whole answer, of which we read three fields.
        return await self._post(self._messages, form, is_message_sid, delivery_of)

    async def call(self, form: bytes) -> AcceptedMessage:
        """Post a call. Raises `SendRefused`, `SendPostponed` or `SendUnknown`, and nothing else."""
        return await self._post(self._calls, form, is_call_sid, call_delivery_of)

    async def _post(
        self, uri: str, form: bytes, is_sid: Callable[[str], bool], status_of: Callable[[str], Delivery]
    ) -> AcceptedMessage:
        try:
            created = from_json((await self._request("POST", uri, data=form)).text)
        except Exception as fault:  # noqa: BLE001 - every failure is translated to one of three kinds
            raise send_failure(fault) from None
        sid = created.get("sid") if isinstance(created, dict) else None
        if not isinstance(sid, str) or not is_sid(sid):
            raise SendUnknown("an answer without a legible SID")
        return AcceptedMessage(
            sid, status_of(str(created.get("status"))), error_code_of(str(created.get("error_code")))
        )


def message_callback(message: OutgoingMessage, public_url: str) -> str:
    """Return where Twilio reports the statuses of a message."""
    return _address("status", message, public_url) + CALLBACK_RETRIES


def call_callback(message: OutgoingMessage, public_url: str) -> str:
    """Return where Twilio reports the statuses of a call."""
    return _address("call", message, public_url) + CALLBACK_RETRIES


def key_callback(message: OutgoingMessage, public_url: str, sealed: str) -> str:
    """Return where Twilio asks what to say when a key was pressed; the address carries the sealed code."""
    return f"{_address('spoken', message, public_url)}?sealed={sealed}{CALLBACK_RETRIES}"


def _address(about: str, message: OutgoingMessage, public_url: str) -> str:
    return f"{public_url.rstrip('/')}/twilio/{about}/{message.verification_id}/{message.send_number}"
