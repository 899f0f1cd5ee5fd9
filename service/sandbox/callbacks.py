"""Reports the status of a message to its StatusCallback (`webhooks` posts it, `carrier` decides the order)."""

from datetime import UTC, datetime

from service.sandbox.addresses import channel_of, number_of
from service.sandbox.errors import delivery_error
from service.sandbox.ledger import Ledger
from service.sandbox.records import CallbackPost, Message
from service.sandbox.resources import API_VERSION
from service.sandbox.settings import SandboxSettings
from service.sandbox.webhooks import WebhookResponse, Webhooks

_END_STATES = frozenset({"delivered", "undelivered", "failed"})
_CHANNEL_STATES = _END_STATES | {"read"}
_CHANNEL_SID = "XE" + "5a" * 16


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
        if (channel := _channel(message)) != "sms":
            return form | _channel_fields(message, channel)
        if message.status in _END_STATES:
            form["RawDlrDoneDate"] = f"{message.updated_at:%y%m%d%H%M}"
        return form


def _channel(message: Message) -> str:
    """Return the channel that carried the message. Only a sender picked by a Messaging Service can be of RCS."""
    return "rcs" if (message.sender or "").startswith("rcs:") else channel_of(message.to)


def _channel_fields(message: Message, channel: str) -> dict[str, str]:
    """Return what the callbacks of other channels than SMS have in addition."""
    fields = {
        "ChannelPrefix": channel,
        "ChannelInstallSid": _CHANNEL_SID,
        "ChannelToAddress": f"{number_of(message.to)[:-4]}XXXX",
        "StructuredMessage": "false",
    }
    if message.status in _CHANNEL_STATES:
        fields["EventType"] = message.status.upper()
    if message.error_code is not None:
        fields["ChannelStatusMessage"] = delivery_error(message.error_code)
    return fields
