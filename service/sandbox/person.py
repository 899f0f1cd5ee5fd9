"""What the owner of a phone does, under `/_/` beside `inspection`: replies, and lets a scanner open links.

It is not part of Twilio and needs no credentials.
    POST /_/messages {from, to, body}  sends a message to a number of the account; 201 with its row once the webhook has
                                       responded, 422 with the reason if it cannot be sent
    POST /_/messages/{sid}/scan        opens the links of a message, as a scanner does (see `scanner`)
    GET  /_/opt_outs                   every person and sender for which a keyword has stopped messages
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.sandbox.inbound import Inbound
from service.sandbox.ledger import Ledger
from service.sandbox.opt_outs import OptOuts
from service.sandbox.rows import row_of
from service.sandbox.scanner import Scanner

_Number = Annotated[str, Field(pattern=r"^\+[1-9][0-9]{6,14}$")]


class _Reply(BaseModel):
    """A message that a person sends. What it is sent to may be a short code or a name, which receives nothing."""

    model_config = ConfigDict(extra="forbid")

    sender: _Number = Field(alias="from")
    to: str
    body: str


class Person:
    """The part of the test interface that acts for people."""

    def __init__(self, ledger: Ledger, inbound: Inbound, opt_outs: OptOuts, scanner: Scanner) -> None:
        self._ledger = ledger
        self._inbound = inbound
        self._opt_outs = opt_outs
        self._scanner = scanner

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/_/messages", self.send, methods=["POST"]),
            Route("/_/messages/{sid}/scan", self.scan, methods=["POST"]),
            Route("/_/opt_outs", self.opt_outs, methods=["GET"]),
        ]

    async def send(self, request: Request) -> Response:
        """Send a message to a number of the account."""
        try:
            reply = _Reply.model_validate_json(await request.body())
            message = await self._inbound.receive(sender=reply.sender, to=reply.to, body=reply.body)
        except ValueError as refused:
            return _refuse(refused)
        return JSONResponse(row_of(self._ledger.message(message.sid) or message), 201)

    async def scan(self, request: Request) -> Response:
        """Open the links of a message; return each request with its status. 422 if there is none that may be opened."""
        message = self._ledger.message(request.path_params["sid"])
        opened = await self._scanner.scan(message) if message else []
        if not opened:
            return _refuse(ValueError("This message has no link that the simulator may open."))
        return JSONResponse(opened)

    async def opt_outs(self, _: Request) -> Response:
        """Return who has stopped which sender."""
        return JSONResponse(self._opt_outs.rows())


def _refuse(refused: ValueError) -> Response:
    """Respond with 422 and the reason."""
    if isinstance(refused, ValidationError):
        wrong = [f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}" for each in refused.errors()]
        return JSONResponse({"error": "; ".join(wrong)}, 422)
    return JSONResponse({"error": str(refused)}, 422)
