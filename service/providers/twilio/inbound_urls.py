"""Reads where Twilio posts messages and calls that come in: the URLs of a number, or of a Messaging Service.

Nothing is changed, and what the URLs should be is for others to say. The two resources are of different APIs.
(https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource, .../messaging/api/service-resource and
.../messaging/api/phonenumber-resource)
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from pydantic_core import from_json

from service.providers.twilio.account import API_HOST
from service.providers.twilio.errors import ResourceUnread, unread

_MOST_NUMBERS = 20  # of a sender pool; each costs a request
_NUMBER_SID = re.compile(r"PN[0-9a-fA-F]{32}")


class InboundUrl(NamedTuple):
    """One URL, empty if none is set, and how Twilio calls it."""

    url: str
    method: str
    is_replaced: bool = False  # by a TwiML App or a SIP trunk, which has URLs of its own


class NumberUrls(NamedTuple):
    """The URLs of a number."""

    messages: InboundUrl
    calls: InboundUrl


class ServiceUrls(NamedTuple):
    """Where the messages of a Messaging Service go: one URL, or those of its first numbers if it leaves it to them."""

    messages: list[InboundUrl]
    are_of_numbers: bool


class InboundUrls:
    """Reads the URLs of one account; `request(method, url, params=)` makes one request with its credentials."""

    def __init__(self, request: Callable[..., Awaitable[Any]], address: str, account_sid: str) -> None:
        self._request = request
        account = f"{address}/2010-04-01/Accounts/{account_sid}"
        self._numbers, self._caller_ids = f"{account}/IncomingPhoneNumbers", f"{account}/OutgoingCallerIds"
        self._services = f"{API_HOST.sub('https://messaging.', address)}/v1/Services"

    async def of_number(self, number: str) -> NumberUrls:
        """Read the URLs of a number. Raises `ResourceUnread`, and nothing else."""
        try:
            page = await self._get(f"{self._numbers}.json", {"PhoneNumber": number})
            # The filter also finds numbers that contain this one.
            found = [_number_urls(row) for row in page["incoming_phone_numbers"] if row["phone_number"] == number]
        except Exception as fault:  # noqa: BLE001 - every failure is translated to one kind
            raise unread(fault) from None
        if not found:
            raise ResourceUnread("this account has no such number")
        return found[0]

    async def can_call(self, number: str) -> bool:
        """Tell whether calls from a number are accepted: it is one of the account, or a verified caller ID.

        Raises `ResourceUnread`, and nothing else.
        """
        try:
            own = await self._get(f"{self._numbers}.json", {"PhoneNumber": number})
            if any(row["phone_number"] == number for row in own["incoming_phone_numbers"]):
                return True
            verified = await self._get(f"{self._caller_ids}.json", {"PhoneNumber": number})
            return any(row["phone_number"] == number for row in verified["outgoing_caller_ids"])
        except Exception as fault:  # noqa: BLE001 - every failure is translated to one kind
            raise unread(fault) from None

    async def of_service(self, sid: str) -> ServiceUrls:
        """Read where the messages of a Messaging Service go. Raises `ResourceUnread`, and nothing else."""
        try:
            service = await self._get(f"{self._services}/{sid}")
            if not service["use_inbound_webhook_on_number"]:
                own = _url(service, "inbound_request_url", "inbound_method")
                return ServiceUrls([own], are_of_numbers=False)
            pool = await self._get(f"{self._services}/{sid}/PhoneNumbers", {"PageSize": str(_MOST_NUMBERS)})
            sids = [row["sid"] for row in pool["phone_numbers"] if _NUMBER_SID.fullmatch(row["sid"])]
            numbers = [_number_urls(await self._get(f"{self._numbers}/{each}.json")) for each in sids[:_MOST_NUMBERS]]
        except Exception as fault:  # noqa: BLE001 - every failure is translated to one kind
            raise unread(fault) from None
        return ServiceUrls([number.messages for number in numbers], are_of_numbers=True)

    async def _get(self, url: str, params: Mapping[str, str] | None = None) -> Any:
        return from_json((await self._request("GET", url, params=params)).text)


def _number_urls(row: Mapping[str, Any]) -> NumberUrls:
    return NumberUrls(
        _url(row, "sms_url", "sms_method", "sms_application_sid"),
        _url(row, "voice_url", "voice_method", "voice_application_sid", "trunk_sid"),
    )


def _url(row: Mapping[str, Any], url: str, method: str, *replacements: str) -> InboundUrl:
    is_replaced = any(row.get(name) for name in replacements)
    return InboundUrl(str(row[url] or ""), str(row[method] or "POST").upper(), is_replaced)
