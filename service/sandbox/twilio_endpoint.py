"""Wraps every Twilio endpoint: counts requests, simulates planned faults, checks credentials, adds headers.

A fault comes before the credentials are checked, like a network failure. `faults` lists the faults after which the
request is processed.
"""

import asyncio
import base64
import binascii
import math
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from service.sandbox.addresses import channel_of
from service.sandbox.connection import NoResponse, end_at_shutdown
from service.sandbox.errors import TwilioError
from service.sandbox.faults import Endpoint, FaultPlan, Faults
from service.sandbox.ledger import Ledger
from service.sandbox.settings import SandboxSettings

Act = Callable[[Request, Mapping[str, str]], Awaitable[Response]]

_PLAIN_RESPONSES = {
    "429": 20429,
    "500": 20500,
    "503": 20503,
    "unauthorized": 20003,
    "forbidden": 20403,
    "not_found": 20404,
}
_ELSEWHERE = "http://elsewhere.invalid/"  # RFC 2606: resolves nowhere


class Traffic:
    """The calls in progress, now and at most, and the responses of each endpoint by status (0: no response)."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0
        self.responses: Counter[tuple[str, int]] = Counter()

    @contextmanager
    def in_progress(self) -> Iterator[None]:
        """Count one call for its duration."""
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            yield
        finally:
            self.now -= 1

    def forget(self) -> None:
        """Reset the counters; calls in progress stay counted."""
        self.most = self.now
        self.responses.clear()


class Handler:
    """Handles the calls of the Twilio endpoints of one sandbox."""

    def __init__(self, settings: SandboxSettings, faults: Faults, ledger: Ledger, traffic: Traffic) -> None:
        self._settings = settings
        self._faults = faults
        self._ledger = ledger
        self._traffic = traffic

    async def handle(self, request: Request, endpoint: Endpoint, act: Act) -> Response:
        """Handle the call with `act`, unless a fault or a refusal comes first."""
        started = time.monotonic()
        with self._traffic.in_progress():
            form = await read_form(request)
            await asyncio.sleep(self._settings.response_seconds / 2)
            if fault := self._faults.take(endpoint, channel_of(form.get("To", ""))):
                simulated = fault.simulated(
                    to=form.get("To"), sid=request.path_params.get("sid"), status_callback=form.get("StatusCallback")
                )
                number = self._ledger.open_fault(simulated)
                response = await self._simulate(fault, request, form, act)
            else:
                response = await self._process(request, form, act)
            await asyncio.sleep(self._settings.response_seconds / 2)
            if fault:
                self._ledger.close_fault(number)
            self._traffic.responses[endpoint, response.status_code] += 1
            response.headers["Twilio-Concurrent-Requests"] = str(self._traffic.now)
            response.headers["Twilio-Request-Id"] = f"RQ{uuid.uuid4().hex}"
            response.headers["Twilio-Request-Duration"] = f"{time.monotonic() - started:.3f}"
            return response

    async def _simulate(self, fault: FaultPlan, request: Request, form: Mapping[str, str], act: Act) -> Response:
        if fault.kind == "hang":
            await self._hang(fault, request)
        if (instead := _unprocessed(fault)) is not None:
            return instead
        if fault.kind == "slow":
            await self._faults.wait(fault)
        response = await self._process(request, form, act)
        if fault.kind == "lost_response":
            return NoResponse(reset=False)
        if fault.kind == "garbage":
            return Response("<html>garbage</html>", response.status_code, media_type="text/html")
        return response

    async def _hang(self, fault: FaultPlan, request: Request) -> None:
        """Send nothing until the time is up, the plans are ended, the client disconnects, or the server stops."""
        end_at_shutdown(request.scope)
        waits = {asyncio.ensure_future(self._faults.wait(fault)), asyncio.ensure_future(_client_disconnected(request))}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _process(self, request: Request, form: Mapping[str, str], act: Act) -> Response:
        try:
            self._check(request)
            return await act(request, form)
        except TwilioError as error:
            return error.response()

    def _check(self, request: Request) -> None:
        if not self._is_known(request.headers.get("Authorization", "")):
            raise TwilioError(20003)
        own = self._settings.account_sid  # the paths of the newer APIs name no account
        if request.path_params.get("account_sid", own) != own:
            raise TwilioError(20404, request.url.path)

    def _is_known(self, authorization: str) -> bool:
        scheme, _, credentials = authorization.partition(" ")
        try:
            pair = base64.b64decode(credentials, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return False
        known = self._settings
        return scheme.lower() == "basic" and pair in {
            f"{known.account_sid}:{known.auth_token}",
            f"{known.api_key}:{known.api_secret}",
        }


async def read_form(request: Request) -> dict[str, str]:
    """Return the form with its empty values; a body of any other type counts as empty, as at Twilio."""
    if not request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
        return {}
    return dict(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))


async def _client_disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":  # the rest of the body comes first
        pass


def _unprocessed(fault: FaultPlan) -> Response | None:
    """Return the response of a fault that keeps the call from being processed, None for the others."""
    if fault.kind in _PLAIN_RESPONSES:
        wait = {"Retry-After": str(math.ceil(fault.wait_seconds))} if fault.kind == "429" else {}
        return TwilioError(_PLAIN_RESPONSES[fault.kind]).response(wait)
    if fault.kind == "refuse":
        return TwilioError(fault.code or 20422).response()
    if fault.kind == "redirect":
        return RedirectResponse(_ELSEWHERE, 302)
    if fault.kind in {"reset", "hang"}:
        return NoResponse(reset=fault.kind == "reset")
    return None
