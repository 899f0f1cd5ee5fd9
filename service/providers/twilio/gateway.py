"""Twilio's Messaging API: sends messages with `ProvideFeedback=true`, and reports those whose code was used.

Each call is one HTTP request, ends within seconds and repeats nothing. Failures are raised as the kinds that `Sender`
names, without a number, a code or a credential in them. `open_twilio` makes the one session that all calls share. Only
the proxy is read from the environment (HTTPS_PROXY, NO_PROXY). The rules decide when to call, and what follows.
(https://www.twilio.com/docs/messaging/api/message-resource and .../message-feedback-resource)
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from twilio.rest import Client  # type: ignore[import-untyped] # the library ships no types

from service.core.lost_messages import ListedMessage
from service.core.sender import AcceptedMessage, ConfirmRefused, OutgoingMessage, Refusal, Text
from service.providers.twilio.account import TwilioAccount
from service.providers.twilio.content import ContentTemplates
from service.providers.twilio.errors import TwilioRejected, confirm_failure
from service.providers.twilio.inbound_urls import InboundUrls
from service.providers.twilio.messages import list_messages
from service.providers.twilio.posting import LONGEST_VALIDITY_SECONDS, Posting, message_callback
from service.providers.twilio.statuses import is_message_sid, is_messaging_service
from service.providers.twilio.transport import TwilioConnector, TwilioTransport, form_of


@asynccontextmanager
async def open_twilio(account: TwilioAccount) -> AsyncIterator["TwilioGateway"]:
    """Open the session that all calls to Twilio share, and close it at the end."""
    timeout = aiohttp.ClientTimeout(total=account.total_timeout_seconds, connect=account.connect_timeout_seconds)
    # Not `trust_env`: it also reads .netrc, for each request, whose entries collide with our Authorization.
    async with aiohttp.ClientSession(
        connector=TwilioConnector(),
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
        proxy=_proxy_to(account.address),
    ) as http:
        yield TwilioGateway(account, http)


class TwilioGateway:
    """The `Sender` of text messages; made inside a running event loop."""

    provider = "Twilio"

    def __init__(self, account: TwilioAccount, http: aiohttp.ClientSession) -> None:
        self._account = account
        self._client = _new_client(account, http)
        self._messages = f"/Accounts/{account.account_sid}/Messages"
        self.posting = Posting(account, self._client.api.v2010.request_async)
        self._fields_of_all = form_of(_fields_of_all(account)) + b"&"
        self._sender = account.messaging_service_sid or account.from_number

    async def send(self, message: OutgoingMessage) -> AcceptedMessage:
        """Post one message with `ProvideFeedback=true`.

        Raises `SendRefused`, `SendPostponed` or `SendUnknown`, and nothing else.
        """
        return await self.posting.message(self._fields_of_all + form_of(self._fields_of(message)))

    @staticmethod
    def is_sid(text: str) -> bool:
        """Tell whether a text has the form of a Message SID."""
        return is_message_sid(text)

    async def confirm(self, sid: str) -> None:
        """Report `Outcome=confirmed` for one message; return when Twilio has answered 2xx.

        Raises `ConfirmRefused`, `ConfirmForbidden` or `ConfirmPostponed`, and nothing else.
        """
        if not is_message_sid(sid):  # it becomes a part of the path
            raise ConfirmRefused("illegible SID")
        try:
            # Not `feedback.create_async`: it fails if it cannot read the body, although the 2xx is enough.
            await self._client.api.v2010.request_async(
                "POST",
                f"{self._messages}/{sid}/Feedback.json",
                data=b"Outcome=confirmed",
            )
        except Exception as fault:  # noqa: BLE001 - every failure is translated to one of three kinds
            raise confirm_failure(fault) from None

    async def messages_to(self, number: str, *, since: date) -> Sequence[ListedMessage]:
        """List messages that we sent to a number on this day (UTC) or later, newest first; two pages at most.

        Raises `LookupFailed`, and nothing else.
        """
        return await list_messages(self._client.api.v2010.request_async, self._messages, number, since)

    async def check_credentials(self) -> str | None:
        """Ask Twilio whether it accepts our credentials; return None, or a sentence that says how to fix them.

        Lists one message, because Standard API keys may not read the account.
        """
        place = self._account.address
        try:
            await self._client.api.v2010.request_async("GET", self._messages + ".json", params={"PageSize": "1"})
        except TwilioRejected as rejected:
            return f"{rejected}: {_fix(rejected)}. The address was {place}."
        except (aiohttp.ClientError, OSError, ValueError) as fault:
            return f"{place} gave no answer ({type(fault).__name__}): check the network, the proxy and the base URL."
        return None

    def inbound_urls(self) -> InboundUrls:
        """Return what reads where Twilio posts messages and calls that come in."""
        return InboundUrls(self._client.request_async, self._account.address, self._account.account_sid)

    def templates(self) -> ContentTemplates:
        """Return what reads the templates of WhatsApp messages."""
        return ContentTemplates(self._client.request_async, self._account.address)

    def _fields_of(self, message: OutgoingMessage) -> dict[str, str | int]:
        """Write the fields of one message; those that all share come first (`_fields_of_all`)."""
        sender = message.sender or self._sender or ""
        if not isinstance(message.content, Text):
            raise TypeError("only texts are sent by this channel")
        fields: dict[str, str | int] = {
            "MessagingServiceSid" if is_messaging_service(sender) else "From": sender,
            "To": message.to,
            "Body": message.content.body,
            "ValidityPeriod": min(message.validity_seconds, LONGEST_VALIDITY_SECONDS),
            "Attempt": message.send_number,
        }
        if self._account.public_url:
            fields["StatusCallback"] = message_callback(message, self._account.public_url)
        return fields


def _fields_of_all(account: TwilioAccount) -> dict[str, str]:
    """Write the fields that all messages share, in Twilio's words; None is left out."""
    form = {
        "ProvideFeedback": "true",
        "MessageIntent": "otp",
        "RiskCheck": account.risk_check,
        "ContentRetention": account.content_retention,
        "AddressRetention": account.address_retention,
    }
    return {name: value for name, value in form.items() if value is not None}


def _proxy_to(base_url: str) -> str | None:
    """Return the proxy that the environment sets for this address; plain http is loopback and needs none."""
    target = urlsplit(base_url)
    if target.scheme != "https" or proxy_bypass(target.hostname or ""):
        return None
    proxy = getproxies().get("https")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def _new_client(account: TwilioAccount, http: aiohttp.ClientSession) -> Client:
    """Build the library's client; its lazy imports happen here instead of in the first request."""
    client = Client(
        account.username,
        account.password,
        account.account_sid,
        http_client=TwilioTransport(http),
        environment={"_": ""},  # an empty one would mean os.environ
    )
    # Edge and region are part of the address: the library would rewrite any other host to insert them.
    client.api.base_url = account.address
    _ = client.api.v2010
    return client


def _fix(rejected: TwilioRejected) -> str:
    if rejected.refusal is Refusal.CREDENTIALS_REFUSED:
        return (
            "check TWILIO_ACCOUNT_SID with TWILIO_AUTH_TOKEN or with TWILIO_API_KEY and TWILIO_API_SECRET, "
            "that the account is active, and that a key is of its region and may read messages"
        )
    if rejected.refusal is not None:
        return "check that TWILIO_ACCOUNT_SID and TWILIO_BASE_URL are right, or TWILIO_EDGE and TWILIO_REGION"
    return "this is temporary; try again later"
