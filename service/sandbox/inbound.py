"""Takes a message that a person sends to a number of the account: keywords, filter, webhook, and what it replies.

https://www.twilio.com/docs/messaging/guides/webhook-request. In this order: a keyword stops or resumes the sender
(`opt_outs`), a message that looks like a passcode fails (https://www.twilio.com/docs/api/errors/30038: redacted, and no
webhook is called), and the webhook is called. Its `<Message>` is sent to the person like any other message, but a
person who has stopped the sender gets none. A response in plain text is sent as well, as at Twilio.
"""

import re
import uuid
from datetime import UTC, datetime

from service.sandbox.account import Account, OwnNumber, Route
from service.sandbox.carrier import Carrier
from service.sandbox.instructions import Instructions
from service.sandbox.ledger import Ledger
from service.sandbox.opt_outs import REPLIES, keyword_in
from service.sandbox.places import place_fields
from service.sandbox.records import Message
from service.sandbox.resources import API_VERSION
from service.sandbox.segments import count_segments
from service.sandbox.settings import SandboxSettings
from service.sandbox.twiml import TwimlError, read_twiml
from service.sandbox.webhooks import WebhookResponse

_PASSCODE = re.compile(r"(?<!\d)\d{4,8}(?!\d)")
_FILTERED = 30038
_MOST_CHARACTERS = 1600


class Inbound:
    """The inbound messages of one sandbox."""

    def __init__(
        self,
        settings: SandboxSettings,
        ledger: Ledger,
        account: Account,
        carrier: Carrier,
        instructions: Instructions,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._account = account
        self._carrier = carrier
        self._instructions = instructions

    async def receive(self, *, sender: str, to: str, body: str) -> Message:
        """Take a message; return it once the webhook has responded. Raise ValueError if it cannot be sent."""
        number = self._account.number(to) if to[:1].isdigit() or to.startswith("+") else None
        if number is None:
            raise ValueError(f"{to} receives no messages: it is no number of the account.")
        if not body.strip() or len(body) > _MOST_CHARACTERS:
            raise ValueError(f"A message has 1 to {_MOST_CHARACTERS} characters.")
        route = self._account.message_route(number)
        message = self._message(sender, number, body, route)
        self._ledger.add(message)
        if message.error_code is None and route.url:
            for reply in await self._replies(message, route):
                await self._send(message, reply)
        return message

    def _message(self, sender: str, number: OwnNumber, body: str, route: Route) -> Message:
        keyword = keyword_in(body)
        self._account.opt_outs.note(keyword, sender, number.number, route.service_sid)
        is_filtered = self._settings.filter_passcodes and _PASSCODE.search(body) is not None
        now = datetime.now(UTC)
        return Message(
            sid=f"SM{uuid.uuid4().hex}",
            to=number.number,
            sender=sender,
            body="" if is_filtered else body,
            status="failed" if is_filtered else "received",
            error_code=_FILTERED if is_filtered else None,
            direction="inbound",
            provide_feedback=False,
            outcome=None,
            created_at=now,
            updated_at=now,
            sent_at=now,
            messaging_service_sid=route.service_sid,
            opt_out_type=keyword if self._settings.advanced_opt_out and route.service_sid else None,
            auto_reply=REPLIES[keyword] if keyword else None,
        )

    async def _replies(self, message: Message, route: Route) -> list[str]:
        try:
            return await self._instructions.ask(
                route.url, self._form(message), _replies, about=(message.sid, message.status), method=route.method
            )
        except TwimlError:
            return []  # recorded; Twilio would write it to the Debugger

    def _form(self, message: Message) -> dict[str, str]:
        """Return the fields under Twilio's names; those that Twilio does not know are empty."""
        sender = message.sender or ""
        form = {
            "AccountSid": self._settings.account_sid,
            "ApiVersion": API_VERSION,
            "From": sender,
            "To": message.to,
            "Body": message.body,
            "MessageSid": message.sid,
            "SmsSid": message.sid,
            "SmsMessageSid": message.sid,
            "SmsStatus": message.status,
            "NumMedia": "0",
            "NumSegments": str(count_segments(message.body)),
            **place_fields(sender, "From"),
            **place_fields(message.to, "To"),
        }
        if message.messaging_service_sid:
            form["MessagingServiceSid"] = message.messaging_service_sid
        if message.opt_out_type:
            form["OptOutType"] = message.opt_out_type
        return form

    async def _send(self, received: Message, body: str) -> None:
        person, number = received.sender or "", received.to
        if not body or self._account.opt_outs.is_stopped(person, number, received.messaging_service_sid):
            return
        now = datetime.now(UTC)
        reply = Message(
            sid=f"SM{uuid.uuid4().hex}",
            to=person,
            sender=number,
            body=body,
            status="queued",
            direction="outbound-reply",
            provide_feedback=False,
            outcome=None,
            created_at=now,
            updated_at=now,
            messaging_service_sid=received.messaging_service_sid,
        )
        self._ledger.add(reply)
        await self._carrier.accept(reply)


def _replies(response: WebhookResponse) -> list[str]:
    """Return the texts to send back; raise TwimlError if the response is none that Twilio accepts for a message."""
    if response.is_ok and not response.body.strip():
        return []
    if response.is_ok and response.content_type == "text/plain":
        return [response.body.decode(errors="replace")]
    verbs = read_twiml(response)
    if any(verb.name != "Message" for verb in verbs):
        raise TwimlError(12200)  # schema validation
    return [verb.text for verb in verbs]
