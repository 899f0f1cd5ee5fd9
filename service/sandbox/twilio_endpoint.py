"""Wraps every Twilio endpoint: counts requests, simulates planned faults, checks credentials, adds headers.

A fault comes before the credentials are checked, like a network failure. `faults` says after which faults the request
is processed.
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

from service.sandbox.connection import NoAnswer, end_at_shutdown
from service.sandbox.errors import TwilioError
from service.sandbox.faults import Endpoint, FaultPlan, Faults
from service.sandbox.settings import SandboxSettings

Act = Callable[[Request, Mapping[str, str]], Awaitable[Response]]

_PLAIN_ANSWERS = {
    "429": 20429,
    "500": 20500,
    "503": 20503,
    "unauthorized": 20003,
    "forbidden": 20403,
    "not_found": 20404,
}
_ELSEWHERE = "http://elsewhere.invalid/"  # RFC 2606: resolves nowhere


class Traffic:
    """How many calls are inside now, how many were at most, and what each endpoint answered how often (0: nothing)."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0
        self.answers: Counter[tuple[str, int]] = Counter()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Count one call for as long as it lasts."""
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            yield
        finally:
            self.now -= 1

    def forget(self) -> None:
        """Start counting anew; calls that are inside stay counted."""
        self.most = self.now
        self.answers.clear()


class Handler:
    """The way into the Twilio endpoints of one sandbox."""

    def __init__(self, settings: SandboxSettings, faults: Faults, traffic: Traffic) -> None:
        self._settings = settings
        self._faults = faults
        self._traffic = traffic

    async def enter(self, request: Request, endpoint: Endpoint, act: Act) -> Response:
        """Answer the call with `act`, unless a fault or a refusal comes first."""
        began = time.monotonic()
        with self._traffic.inside():
            form = await read_form(request)
            await asyncio.sleep(self._settings.answer_seconds / 2)
            fault = self._faults.take(endpoint)
            answer = await self._play(fault, request, form, act) if fault else await self._process(request, form, act)
            await asyncio.sleep(self._settings.answer_seconds / 2)
            self._traffic.answers[endpoint, answer.status_code] += 1
            answer.headers["Twilio-Concurrent-Requests"] = str(self._traffic.now)
            answer.headers["Twilio-Request-Id"] = f"RQ{uuid.uuid4().hex}"
            answer.headers["Twilio-Request-Duration"] = f"{time.monotonic() - began:.3f}"
            return answer

    async def _play(self, fault: FaultPlan, request: Request, form: Mapping[str, str], act: Act) -> Response:
        if fault.kind == "hang":
            await self._hang(fault, request)
        if (instead := _unprocessed(fault)) is not None:
            return instead
        if fault.kind == "slow":
            await self._faults.wait(fault)
        answer = await self._process(request, form, act)
        if fault.kind == "lost_answer":
            return NoAnswer(reset=False)
        if fault.kind == "garbage":
            return Response("<html>garbage</html>", answer.status_code, media_type="text/html")
        return answer

    async def _hang(self, fault: FaultPlan, request: Request) -> None:
        """Keep silent until the time is up, the plans are ended, the client has gone, or the server stops."""
        end_at_shutdown(request.scope)
        waits = {asyncio.ensure_future(self._faults.wait(fault)), asyncio.ensure_future(_client_has_gone(request))}
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
        if request.path_params["account_sid"] != self._settings.account_sid:
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
    """Return the form with its blanks; a body of any other type counts as empty, as at Twilio."""
    if not request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
        return {}
    return dict(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))


async def _client_has_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":  # what is left of the body comes before
        pass


def _unprocessed(fault: FaultPlan) -> Response | None:
    """Return the answer of a fault that keeps the call from being processed, None for the others."""
    if fault.kind in _PLAIN_ANSWERS:
        wait = {"Retry-After": str(math.ceil(fault.wait_seconds))} if fault.kind == "429" else {}
        return TwilioError(_PLAIN_ANSWERS[fault.kind]).response(wait)
    if fault.kind == "refuse":
        return TwilioError(fault.code or 20422).response()
    if fault.kind == "redirect":
        return RedirectResponse(_ELSEWHERE, 302)
    if fault.kind in {"reset", "hang"}:
        return NoAnswer(reset=fault.kind == "reset")
    return None
