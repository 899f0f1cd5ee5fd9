"""WhatsApp messages by Twilio: an approved authentication template in the person's language, and the code.

The text is Meta's, so the template (`ContentSid`) has exactly one variable, the code. Statuses come like those of text
messages, `read` too. Twilio documents Message Feedback without a word on WhatsApp, so a setting decides whether it is
asked for. (https://www.twilio.com/docs/content/whatsappauthentication)
"""

import json

from service.core.sender import AcceptedMessage, OutgoingMessage, Template
from service.providers.twilio.account import TwilioAccount
from service.providers.twilio.gateway import TwilioGateway
from service.providers.twilio.posting import LONGEST_VALIDITY_SECONDS, message_callback
from service.providers.twilio.statuses import is_message_sid
from service.providers.twilio.transport import form_of

_ADDRESS = "whatsapp:"
_SERVICE = "MG"


class WhatsAppSender:
    """The `Sender` of WhatsApp messages. They are messages to Twilio, so the gateway posts and confirms them."""

    provider = "Twilio"

    def __init__(self, account: TwilioAccount, gateway: TwilioGateway) -> None:
        self._account = account
        self._gateway = gateway

    async def send(self, message: OutgoingMessage) -> AcceptedMessage:
        """Post one message. Raises `SendRefused`, `SendPostponed` or `SendUnknown`, and nothing else."""
        return await self._gateway.posting.message(form_of(self._fields_of(message)))

    @staticmethod
    def is_sid(text: str) -> bool:
        """Tell whether a text has the form of a Message SID."""
        return is_message_sid(text)

    async def confirm(self, sid: str) -> None:
        """Report `Outcome=confirmed` for one message, as for a text message."""
        await self._gateway.confirm(sid)

    def _fields_of(self, message: OutgoingMessage) -> dict[str, str | int]:
        if not isinstance(message.content, Template):
            raise TypeError("only templates are sent by this channel")
        account, sender = self._account, self._account.whatsapp_sender or ""
        templates = account.whatsapp_templates
        form = {
            "To": _ADDRESS + message.to,
            "MessagingServiceSid": sender if sender.startswith(_SERVICE) else None,
            "From": None if sender.startswith(_SERVICE) else _ADDRESS + sender,
            "ContentSid": templates.get(message.content.locale) or templates[account.whatsapp_locale],
            "ContentVariables": json.dumps({"1": message.content.code}),
            "ProvideFeedback": "true" if account.whatsapp_feedback else None,
            "ValidityPeriod": min(message.validity_seconds, LONGEST_VALIDITY_SECONDS),
            "Attempt": message.send_number,
            "ContentRetention": account.content_retention,
            "AddressRetention": account.address_retention,
            "StatusCallback": message_callback(message, account.public_url) if account.public_url else None,
        }
        return {name: value for name, value in form.items() if value is not None}
