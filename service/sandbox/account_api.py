"""Twilio's endpoints that tell and change where inbound messages and calls go.

`IncomingPhoneNumbers` of the API of 2010, and `Services` with their `PhoneNumbers` of https://messaging.twilio.com/v1,
which is here under `/v1` of the same address. A POST to a list adds a number or a service, a POST to one changes it.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.sandbox.account import Account, MessagingService, OwnNumber
from service.sandbox.account_resources import number_resource, pool_resource, service_resource
from service.sandbox.creation import check_webhook_url
from service.sandbox.errors import TwilioError, found
from service.sandbox.faults import Endpoint
from service.sandbox.resources import API_VERSION
from service.sandbox.settings import SandboxSettings
from service.sandbox.twilio_endpoint import Act, Handler

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_OF_NUMBERS = {
    "SmsUrl": "sms_url",
    "SmsMethod": "sms_method",
    "VoiceUrl": "voice_url",
    "VoiceMethod": "voice_method",
}
_OF_SERVICES = {
    "FriendlyName": "friendly_name",
    "InboundRequestUrl": "inbound_request_url",
    "InboundMethod": "inbound_method",
    "UseInboundWebhookOnNumber": "use_inbound_webhook_on_number",
}


class AccountApi:
    """The endpoints of one sandbox."""

    def __init__(self, settings: SandboxSettings, account: Account, endpoint: Handler) -> None:
        self._sid = settings.account_sid
        self._account = account
        self._endpoint = endpoint

    def routes(self) -> list[Route]:
        """Return the routes of the endpoints."""
        numbers = f"/{API_VERSION}/Accounts/{{account_sid}}/IncomingPhoneNumbers"
        return [
            self._route(f"{numbers}.json", "GET", self._list_numbers),
            self._route(f"{numbers}.json", "POST", self._add_number),
            self._route(f"{numbers}/{{sid}}.json", "GET", self._read_number),
            self._route(f"{numbers}/{{sid}}.json", "POST", self._change_number),
            self._route("/v1/Services", "GET", self._list_services),
            self._route("/v1/Services", "POST", self._add_service),
            self._route("/v1/Services/{sid}", "GET", self._read_service),
            self._route("/v1/Services/{sid}", "POST", self._change_service),
            self._route("/v1/Services/{sid}/PhoneNumbers", "GET", self._list_pool),
            self._route("/v1/Services/{sid}/PhoneNumbers", "POST", self._add_to_pool),
        ]

    def _route(self, path: str, method: str, act: Act) -> Route:
        endpoint: Endpoint = "reads" if method == "GET" else "account"

        async def handle(request: Request) -> Response:
            return await self._endpoint.handle(request, endpoint, act)

        return Route(path, handle, methods=[method])

    async def _list_numbers(self, request: Request, _: Mapping[str, str]) -> Response:
        pattern = request.query_params.get("PhoneNumber", "")
        rows = [number_resource(each, self._sid) for each in self._account.numbers() if _matches(each.number, pattern)]
        uri = f"/{API_VERSION}/Accounts/{self._sid}/IncomingPhoneNumbers.json?{urlencode(request.query_params)}"
        page = {"page": 0, "page_size": 1000, "start": 0, "end": max(len(rows) - 1, 0), "uri": uri}
        links = {"first_page_uri": uri, "previous_page_uri": None, "next_page_uri": None}
        return JSONResponse({"incoming_phone_numbers": rows, **page, **links})

    async def _add_number(self, _: Request, form: Mapping[str, str]) -> Response:
        number = form.get("PhoneNumber", "")
        if not _E164.fullmatch(number):
            raise TwilioError(21421, number)
        return JSONResponse(
            number_resource(self._account.add_number(number, **_changes(form, _OF_NUMBERS)), self._sid), 201
        )

    async def _read_number(self, request: Request, _: Mapping[str, str]) -> Response:
        return JSONResponse(number_resource(self._number(request, request.path_params["sid"]), self._sid))

    async def _change_number(self, request: Request, form: Mapping[str, str]) -> Response:
        number = self._number(request, request.path_params["sid"])
        return JSONResponse(
            number_resource(self._account.add_number(number.number, **_changes(form, _OF_NUMBERS)), self._sid)
        )

    async def _list_services(self, _: Request, __: Mapping[str, str]) -> Response:
        return _page("services", [service_resource(each, self._sid) for each in self._account.services()])

    async def _add_service(self, _: Request, form: Mapping[str, str]) -> Response:
        return JSONResponse(service_resource(self._account.add_service(**_changes(form, _OF_SERVICES)), self._sid), 201)

    async def _read_service(self, request: Request, _: Mapping[str, str]) -> Response:
        return JSONResponse(service_resource(self._service(request), self._sid))

    async def _change_service(self, request: Request, form: Mapping[str, str]) -> Response:
        service = self._account.add_service(self._service(request).sid, **_changes(form, _OF_SERVICES))
        return JSONResponse(service_resource(service, self._sid))

    async def _list_pool(self, request: Request, _: Mapping[str, str]) -> Response:
        sid = self._service(request).sid
        pool = [each for each in self._account.numbers() if each.service_sid == sid]
        return _page("phone_numbers", [pool_resource(each, sid, self._sid) for each in pool])

    async def _add_to_pool(self, request: Request, form: Mapping[str, str]) -> Response:
        sid = self._service(request).sid
        number = self._number(request, form.get("PhoneNumberSid", ""))
        added = self._account.add_number(number.number, service_sid=sid)
        return JSONResponse(pool_resource(added, sid, self._sid), 201)

    def _number(self, request: Request, sid: str) -> OwnNumber:
        return found(self._account.number(sid) if sid.startswith("PN") else None, request.url.path)

    def _service(self, request: Request) -> MessagingService:
        return found(self._account.service(request.path_params["sid"]), request.url.path)


def _page(key: str, rows: list[dict[str, object]]) -> Response:
    """Return the only page of a list, as the newer APIs write it."""
    links = {"first_page_url": None, "previous_page_url": None, "next_page_url": None, "url": None}
    return JSONResponse({"meta": {"key": key, "page": 0, "page_size": 50, **links}, key: rows})


def _matches(number: str, pattern: str) -> bool:
    """As at Twilio, a part of a number is enough, and `*` stands for any digit."""
    return re.search(re.escape(pattern).replace(r"\*", "[0-9]"), number) is not None


def _changes(form: Mapping[str, str], parameters: Mapping[str, str]) -> dict[str, Any]:
    """Read what a POST may change; other parameters are ignored."""
    return {name: _value(parameter, form[parameter]) for parameter, name in parameters.items() if parameter in form}


def _value(parameter: str, value: str) -> str | bool:
    if parameter.endswith("Url") and value:
        return check_webhook_url(value, 21502)
    if parameter.endswith("Method") and value not in {"GET", "POST"}:
        raise TwilioError(20422, f"{parameter} must be GET or POST")
    return value == "true" if parameter.startswith("Use") else value
