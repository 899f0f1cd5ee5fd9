"""Reports the status of a message to its StatusCallback (`webhooks` posts it, `carrier` decides the order)."""

from datetime import UTC, datetime

from service.sandbox.ledger import Ledger
from service.sandbox.records import CallbackPost, Message
from service.sandbox.resources import API_VERSION
from service.sandbox.settings import SandboxSettings
from service.sandbox.webhooks import WebhookResponse, Webhooks

_END_STATES = frozenset({"delivered", "undelivered", "failed"})


class Callbacks:
    """The status callbacks of one sandbox."""

    def __init__(self, settings: SandboxSettings, ledger: Ledger, webhooks: Webhooks) -> None:
        self._settings = settings
        self._ledger = ledger
        self._webhooks = webhooks

    async def post(self, message: Message) -> None:
        """Report the message's status to its StatusCallback and record every try; receiver errors are never raised."""

        def record(url: str, response: WebhookResponse) -> None:
            post = CallbackPost(
                sid=message.sid,
                message_status=message.status,
                url=url,
                result=response.result,
                at=datetime.now(UTC),
            )
            self._ledger.add_callback(post)

        if message.status_callback:
            await self._webhooks.post(message.status_callback, self._form(message), record)

    def _form(self, message: Message) -> dict[str, str]:
        """Return the fields under Twilio's names. ErrorCode may be empty: signatures must cover empty values."""
        form = {
            "AccountSid": self._settings.account_sid,
            "ApiVersion": API_VERSION,
            "From": message.sender or "",
            "To": message.to,
            "MessageSid": message.sid,
            "SmsSid": message.sid,
            "MessageStatus": message.status,
            "SmsStatus": message.status,
            "ErrorCode": str(message.error_code or ""),
        }
        if message.messaging_service_sid:
            form["MessagingServiceSid"] = message.messaging_service_sid
        if message.status in _END_STATES:
            form["RawDlrDoneDate"] = f"{message.updated_at:%y%m%d%H%M}"
        return form
