"""Twilio's endpoints for calls by the account: create one, fetch one, and end one.

https://www.twilio.com/docs/voice/api/call-resource. `outbound` makes the calls.
"""

import re
from collections.abc import Mapping
from email.utils import format_datetime
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.sandbox.account import Account
from service.sandbox.call_creation import read_call
from service.sandbox.call_reports import call_seconds
from service.sandbox.errors import TwilioError, found
from service.sandbox.ledger import Ledger
from service.sandbox.outbound import OutboundCalls
from service.sandbox.records import Call
from service.sandbox.resources import API_VERSION
from service.sandbox.twilio_endpoint import Handler

_SID = re.compile(r"CA[0-9a-f]{32}")
_SUBRESOURCES = {"events": "Events", "notifications": "Notifications", "recordings": "Recordings"}


class CallsApi:
    """The endpoints of one sandbox."""

    def __init__(
        self, account_sid: str, ledger: Ledger, account: Account, outbound: OutboundCalls, endpoint: Handler
    ) -> None:
        self._account_sid = account_sid
        self._ledger = ledger
        self._account = account
        self._outbound = outbound
        self._endpoint = endpoint

    def routes(self) -> list[Route]:
        """Return the routes of the endpoints."""
        calls = f"/{API_VERSION}/Accounts/{{account_sid}}/Calls"
        return [
            Route(f"{calls}.json", self.create, methods=["POST"]),
            Route(f"{calls}/{{sid}}.json", self.fetch, methods=["GET"]),
            Route(f"{calls}/{{sid}}.json", self.update, methods=["POST"]),
        ]

    async def create(self, request: Request) -> Response:
        """Accept a call: 201, queued."""
        return await self._endpoint.handle(request, "calls", self._create)

    async def fetch(self, request: Request) -> Response:
        """Return one call, in either direction."""
        return await self._endpoint.handle(request, "reads", self._fetch)

    async def update(self, request: Request) -> Response:
        """End a call: `canceled` if nobody has answered yet, `completed` in any case."""
        return await self._endpoint.handle(request, "calls", self._update)

    async def _create(self, request: Request, form: Mapping[str, str]) -> Response:
        pairs = parse_qsl((await request.body()).decode(errors="replace"))
        call, start = read_call(form, [value for name, value in pairs if name == "StatusCallbackEvent"])
        self._account.note_sender(call.sender, None)
        await self._outbound.place(call, start)
        return JSONResponse(call_resource(call, self._account_sid), 201)

    async def _fetch(self, request: Request, _: Mapping[str, str]) -> Response:
        return JSONResponse(call_resource(self._find(request), self._account_sid))

    async def _update(self, request: Request, form: Mapping[str, str]) -> Response:
        call = self._find(request)
        if form.get("Status") not in {"canceled", "completed"}:
            raise TwilioError(20422, "Status must be canceled or completed")
        try:
            await self._outbound.end(call, is_forced=form["Status"] == "completed")
        except ValueError:
            raise TwilioError(21220) from None
        return JSONResponse(call_resource(self._find(request), self._account_sid))

    def _find(self, request: Request) -> Call:
        sid = request.path_params["sid"]
        return found(self._ledger.call(sid) if _SID.fullmatch(sid) else None, request.url.path)


def call_resource(call: Call, account_sid: str) -> dict[str, object]:
    """Return the Call resource. A call that is `initiated` is still queued here."""
    uri = f"/{API_VERSION}/Accounts/{account_sid}/Calls/{call.sid}"
    return {
        "account_sid": account_sid,
        "annotation": None,
        "answered_by": None,
        "api_version": API_VERSION,
        "caller_name": None,
        "date_created": format_datetime(call.created_at),
        "date_updated": format_datetime(call.updated_at),
        "direction": call.direction,
        "duration": str(call_seconds(call)) if call.ended_at else None,
        "end_time": format_datetime(call.ended_at) if call.ended_at else None,
        "forwarded_from": None,
        "from": call.sender,
        "from_formatted": call.sender,
        "group_sid": None,
        "parent_call_sid": None,
        "phone_number_sid": None,
        "price": None,
        "price_unit": "USD",
        "queue_time": "0",
        "sid": call.sid,
        "start_time": format_datetime(call.answered_at) if call.answered_at else None,
        "status": "queued" if call.status == "initiated" else call.status,
        "subresource_uris": {name: f"{uri}/{path}.json" for name, path in _SUBRESOURCES.items()},
        "to": call.to,
        "to_formatted": call.to,
        "trunk_sid": None,
        "uri": f"{uri}.json",
    }
