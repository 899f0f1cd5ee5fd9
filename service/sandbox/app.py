"""Builds and connects the parts of a sandbox, and closes them in order."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from service.http_server import Connections
from service.sandbox.account import Account
from service.sandbox.account_api import AccountApi
from service.sandbox.call_reports import CallReports
from service.sandbox.callbacks import Callbacks
from service.sandbox.calls import Calls
from service.sandbox.calls_api import CallsApi
from service.sandbox.carrier import Carrier
from service.sandbox.content_api import ContentApi
from service.sandbox.errors import TwilioError
from service.sandbox.faults import Faults
from service.sandbox.inbound import Inbound
from service.sandbox.inspection import Inspection
from service.sandbox.instructions import Instructions
from service.sandbox.ledger import Ledger
from service.sandbox.outbound import OutboundCalls
from service.sandbox.person import Person
from service.sandbox.phone import phone_routes
from service.sandbox.settings import SandboxSettings
from service.sandbox.twilio_api import TwilioApi
from service.sandbox.twilio_endpoint import Handler, Traffic
from service.sandbox.webhooks import Webhooks

_BODY_LIMIT = 65_536  # bytes of any request; the longest body of a message takes a third of it
_CODES = {404: 20404, 405: 20004}


class Sandbox:
    """One simulator of Twilio: an ASGI application whose `ledger` and `faults` can be used in the same process.

    Threads other than its server's may read records and plan faults, but must not end faults. Its first webhook opens
    its HTTP client. Its own server closes it (ASGI lifespan); an application that mounts it must call `aclose`.
    `connections` limits the connections of its own server.
    """

    def __init__(self, settings: SandboxSettings, connections: Connections | None = None) -> None:
        self.connections = connections
        self.settings = settings
        self.ledger = Ledger(settings.keep_messages)
        self.faults = Faults()
        self.account = Account(settings)
        self._webhooks = Webhooks(settings)
        callbacks = Callbacks(settings, self.ledger, self._webhooks)
        self._carrier = Carrier(settings, self.ledger, self.faults, callbacks)
        self._traffic = Traffic()
        handler = Handler(settings, self.faults, self.ledger, self._traffic)
        api = TwilioApi(settings, self.ledger, self.account, self._carrier, handler)
        instructions = Instructions(self.ledger, self._webhooks)
        inbound = Inbound(settings, self.ledger, self.account, self._carrier, instructions)
        self._calls = Calls(settings, self.ledger, self.account, instructions)
        self._reports = CallReports(settings, self.ledger, self.faults, self._webhooks)
        outbound = OutboundCalls(settings, self.ledger, self.faults, self._calls, self._reports)
        calls_api = CallsApi(settings.account_sid, self.ledger, self.account, outbound, handler)
        person = Person(self.ledger, self._carrier, inbound, self._calls, self.account.opt_outs)
        inspection = Inspection(self.ledger, self.faults, self._traffic, self.account.templates, forget=self.forget)
        account_api = AccountApi(settings, self.account, handler)
        self._app = Starlette(
            routes=[
                *api.routes(),
                *calls_api.routes(),
                *account_api.routes(),
                *ContentApi(settings, self.account.templates, handler).routes(),
                *inspection.routes(),
                *person.routes(),
                *phone_routes(),
            ],
            exception_handlers={HTTPException: _refuse, ClientDisconnect: _end},
            lifespan=self._lifespan,
            max_body_size=_BODY_LIMIT,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan of its own server."""
        await self._app(scope, receive, send)

    def forget(self) -> None:
        """Delete all records, counts and opt-outs, and stop messages and calls; planned faults and numbers stay."""
        self._carrier.stop()
        self._calls.stop()
        self._reports.stop()
        self.ledger.forget()
        self.account.opt_outs.forget()
        self._traffic.forget()

    async def aclose(self) -> None:
        """Stop messages and calls, then end hanging requests and event streams, and close the HTTP client last."""
        await self._carrier.aclose()  # first: ending the plans would send late callbacks
        await self._calls.aclose()
        await self._reports.aclose()
        self.faults.end()
        self.ledger.close()
        await self._webhooks.aclose()

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await self.aclose()


def create_sandbox(settings: SandboxSettings | None = None, connections: Connections | None = None) -> Sandbox:
    """Return a new sandbox with nothing recorded and no fault planned."""
    return Sandbox(settings or SandboxSettings(), connections)


async def _refuse(request: Request, error: Exception) -> Response:
    """Respond to unknown paths and methods as Twilio does, and to a body that is too large in plain text."""
    refusal = cast("HTTPException", error)  # the handler is for these
    code = _CODES.get(refusal.status_code)
    if code is None:
        return PlainTextResponse(refusal.detail, refusal.status_code, refusal.headers)
    return TwilioError(code, request.url.path).response()


async def _end(_: Request, __: Exception) -> Response:
    """Respond to a request whose body is incomplete, if the client is still connected."""
    return Response(status_code=400)
