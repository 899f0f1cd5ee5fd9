"""What the owner of a phone does, under `/_/` beside `inspection`: replies, calls, and lets a scanner open links.

It is not part of Twilio and needs no credentials.
    POST /_/messages {from, to, body}  sends a message to a number of the account; 201 with its row once the webhook has
                                       responded, 422 with the reason if it cannot be sent
    POST /_/messages/{sid}/read        reads a message that has arrived by WhatsApp; the sender is told
    POST /_/messages/{sid}/scan        opens the links of a message, as a scanner does (see `scanner`)
    GET  /_/opt_outs                   every person and sender for which a keyword has stopped messages
    GET  /_/calls                      every call, oldest first: what was said and keyed, and whether it waits for keys
    POST /_/calls {from, to}           calls a number of the account; 201 with the row of the call while it rings, 422
                                       if it takes no calls. `stir_verstat`: what a network says of the caller id
    POST /_/calls/{sid}/answer         answers a call by the account, 422 if the phone does not ring
    POST /_/calls/{sid}/keys {keys}    presses keys
    POST /_/calls/{sid}/silence        lets the time for the next key, or for an answer, run out now
    DELETE /_/calls/{sid}              hangs up, or declines; these return the row of the call, 422 if it has ended
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.sandbox.calls import Calls
from service.sandbox.carrier import Carrier
from service.sandbox.inbound import Inbound
from service.sandbox.ledger import Ledger
from service.sandbox.opt_outs import OptOuts
from service.sandbox.rows import refuse, row_of
from service.sandbox.scanner import Scanner

_Number = Annotated[str, Field(pattern=r"^\+[1-9][0-9]{6,14}$")]


class _Reply(BaseModel):
    """A message that a person sends. What it is sent to may be a short code or a name, which receives nothing."""

    model_config = ConfigDict(extra="forbid")

    sender: _Number = Field(alias="from")
    to: str
    body: str


class _CallRequest(BaseModel):
    """A call that a person makes."""

    model_config = ConfigDict(extra="forbid")

    caller: _Number = Field(alias="from")
    to: str
    stir_verstat: str | None = None


class _Keys(BaseModel):
    """Keys that a person presses in a call."""

    model_config = ConfigDict(extra="forbid")

    keys: str = Field(max_length=100)


class Person:
    """The part of the test interface that acts for people."""

    def __init__(self, ledger: Ledger, carrier: Carrier, inbound: Inbound, calls: Calls, opt_outs: OptOuts) -> None:
        self._ledger = ledger
        self._carrier = carrier
        self._inbound = inbound
        self._calls = calls
        self._opt_outs = opt_outs
        self._scanner = Scanner(ledger)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/_/messages", self.send, methods=["POST"]),
            Route("/_/messages/{sid}/read", self.read, methods=["POST"]),
            Route("/_/messages/{sid}/scan", self.scan, methods=["POST"]),
            Route("/_/opt_outs", self.opt_outs, methods=["GET"]),
            Route("/_/calls", self.calls, methods=["GET"]),
            Route("/_/calls", self.call, methods=["POST"]),
            Route("/_/calls/{sid}/answer", self.answer, methods=["POST"]),
            Route("/_/calls/{sid}/keys", self.press, methods=["POST"]),
            Route("/_/calls/{sid}/silence", self.stay_silent, methods=["POST"]),
            Route("/_/calls/{sid}", self.hang_up, methods=["DELETE"]),
        ]

    async def send(self, request: Request) -> Response:
        """Send a message to a number of the account."""
        try:
            reply = _Reply.model_validate_json(await request.body())
            message = await self._inbound.receive(sender=reply.sender, to=reply.to, body=reply.body)
        except ValueError as refused:
            return refuse(refused)
        return JSONResponse(row_of(self._ledger.message(message.sid) or message), 201)

    async def scan(self, request: Request) -> Response:
        """Open the links of a message; return each request with its status. 422 if there is none that may be opened."""
        message = self._ledger.message(request.path_params["sid"])
        opened = await self._scanner.scan(message) if message else []
        if not opened:
            return refuse(ValueError("This message has no link that the simulator may open."))
        return JSONResponse(opened)

    async def read(self, request: Request) -> Response:
        """Read a message. 422 if it has not arrived, was read before, or came by SMS, which does not tell."""
        message = await self._carrier.read(request.path_params["sid"])
        if message is None:
            return refuse(ValueError("This is no message by WhatsApp that has arrived and was not read."))
        return JSONResponse(row_of(message))

    async def opt_outs(self, _: Request) -> Response:
        """Return who has stopped which sender."""
        return JSONResponse(self._opt_outs.rows())

    async def calls(self, _: Request) -> Response:
        """Return the calls, oldest first."""
        return JSONResponse([row_of(call) for call in self._ledger.calls()])

    async def call(self, request: Request) -> Response:
        """Call a number of the account."""
        try:
            asked = _CallRequest.model_validate_json(await request.body())
            call = self._calls.start(caller=asked.caller, to=asked.to, stir_verstat=asked.stir_verstat)
        except ValueError as refused:
            return refuse(refused)
        return JSONResponse(row_of(call), 201)

    async def answer(self, request: Request) -> Response:
        """Answer a call."""
        return await self._in_call(request, self._calls.answer)

    async def press(self, request: Request) -> Response:
        """Press keys in a call."""
        body = await request.body()
        return await self._in_call(request, lambda sid: self._calls.press(sid, _Keys.model_validate_json(body).keys))

    async def stay_silent(self, request: Request) -> Response:
        """Press no key until the time is over."""
        return await self._in_call(request, self._calls.stay_silent)

    async def hang_up(self, request: Request) -> Response:
        """End a call, or decline it."""
        return await self._in_call(request, self._calls.hang_up)

    async def _in_call(self, request: Request, act: Callable[[str], Awaitable[None] | None]) -> Response:
        sid = request.path_params["sid"]
        try:
            if (acting := act(sid)) is not None:
                await acting
        except ValueError as refused:
            return refuse(refused)
        call = self._ledger.call(sid)
        return JSONResponse(row_of(call) if call else {})
