"""The test interface under `/_/`: reads recorded data, plans faults, streams changes.

It is not part of Twilio and needs no credentials. Times are ISO 8601 in UTC.
    GET    /_/messages?to=    every message, oldest first; its main keys first, then the other parameters of the create
    DELETE /_/messages        deletes all records and stops messages in transit; planned faults stay
    POST   /_/messages/{sid}/scan  opens the links of a message, as a scanner does (see `scanner`)
    GET    /_/feedback?sid=   every feedback post, accepted or not
    GET    /_/callbacks?sid=  every try to post to a StatusCallback
    GET    /_/stats           concurrency, and for each endpoint the number of responses by status
    POST, GET, DELETE /_/faults  plan, list and end faults (see `faults`)
    GET    /_/events          server-sent events: `message`, `status`, `outcome` and `scan`, each with one row of
                              /_/messages; `feedback`, `callback` with one row of theirs; `fault`, when a planned fault
                              is simulated, and again when its request is answered
"""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from service.sandbox.connection import end_at_shutdown
from service.sandbox.faults import FaultPlan, Faults
from service.sandbox.ledger import CallbackPost, FeedbackPost, Ledger, Message, SimulatedFault
from service.sandbox.scanner import Scanner
from service.sandbox.twilio_endpoint import Traffic

_FIRST_KEYS = (
    "sid",
    "to",
    "from",
    "body",
    "status",
    "provide_feedback",
    "outcome",
    "feedback_posts",
    "created_at",
)


class Inspection:
    """The test interface of one sandbox."""

    def __init__(
        self, ledger: Ledger, faults: Faults, traffic: Traffic, scanner: Scanner, *, forget: Callable[[], None]
    ) -> None:
        self._ledger = ledger
        self._faults = faults
        self._traffic = traffic
        self._scanner = scanner
        self._forget = forget

    def routes(self) -> list[Route]:
        """Return the routes of the test interface."""
        return [
            Route("/_/messages", self.messages, methods=["GET"]),
            Route("/_/messages", self.forget, methods=["DELETE"]),
            Route("/_/messages/{sid}/scan", self.scan, methods=["POST"]),
            Route("/_/feedback", self.feedback, methods=["GET"]),
            Route("/_/callbacks", self.callbacks, methods=["GET"]),
            Route("/_/stats", self.stats, methods=["GET"]),
            Route("/_/faults", self.plan_fault, methods=["POST"]),
            Route("/_/faults", self.faults, methods=["GET"]),
            Route("/_/faults", self.end_faults, methods=["DELETE"]),
            Route("/_/events", self.events, methods=["GET"]),
        ]

    async def messages(self, request: Request) -> Response:
        """Return the messages, oldest first."""
        to = request.query_params.get("to")
        # a plus that the client did not encode arrives as a blank
        number = f"+{to.strip().removeprefix('+')}" if to else None
        return JSONResponse([message_row(message) for message in self._ledger.messages(number)])

    async def forget(self, _: Request) -> Response:
        """Delete messages, feedback, callbacks and counts; stop messages in transit. Planned faults stay."""
        self._forget()
        return Response(status_code=204)

    async def scan(self, request: Request) -> Response:
        """Open the links of a message; return each request with its status. 422 if there is none that may be opened."""
        message = self._ledger.message(request.path_params["sid"])
        opened = await self._scanner.scan(message) if message else []
        if not opened:
            return JSONResponse({"error": "This message has no link that the simulator may open."}, 422)
        return JSONResponse(opened)

    async def feedback(self, request: Request) -> Response:
        """Return every feedback post with the status of its response, null without one."""
        return JSONResponse([_row(post) for post in self._ledger.feedback(request.query_params.get("sid"))])

    async def callbacks(self, request: Request) -> Response:
        """Return every callback post with its result."""
        return JSONResponse([_row(post) for post in self._ledger.callbacks(request.query_params.get("sid"))])

    async def stats(self, _: Request) -> Response:
        """Return the calls in progress, now and at most, and the responses of each endpoint by status."""
        endpoints: dict[str, dict[str, int]] = {}
        for (endpoint, status), times in self._traffic.responses.items():
            endpoints.setdefault(endpoint, {})[str(status) if status else "no_response"] = times
        return JSONResponse(
            {"concurrent_now": self._traffic.now, "concurrent_max": self._traffic.most, "responses": endpoints}
        )

    async def plan_fault(self, request: Request) -> Response:
        """Plan a fault: 201 with the plan, 422 with the error."""
        try:
            plan = FaultPlan.model_validate_json(await request.body())
        except ValidationError as error:
            wrong = [f"{'.'.join(map(str, each['loc'])) or 'plan'}: {each['msg']}" for each in error.errors()]
            return JSONResponse({"error": "; ".join(wrong)}, 422)
        self._faults.plan(plan)
        return JSONResponse(plan.model_dump(), 201)

    async def faults(self, _: Request) -> Response:
        """Return the plans that are not used up, oldest first, each with its remaining count."""
        return JSONResponse([plan.model_dump() for plan in self._faults.planned()])

    async def end_faults(self, _: Request) -> Response:
        """End all plans, and the waits that they have caused."""
        self._faults.end()
        return Response(status_code=204)

    async def events(self, request: Request) -> Response:
        """Stream changes as they happen; the stream ends when the sandbox closes."""
        end_at_shutdown(request.scope)
        return StreamingResponse(self._stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def _stream(self) -> AsyncIterator[str]:
        with self._ledger.subscribe() as changes:
            yield ": open\n\n"
            while (change := await changes.get()) is not None:
                name, entry = change
                row = message_row(entry) if isinstance(entry, Message) else _row(entry)
                yield f"event: {name}\ndata: {json.dumps(row)}\n\n"


def message_row(message: Message) -> dict[str, Any]:
    """Return a message as the test interface writes it: the agreed keys first, then the rest."""
    row = _row(message)
    row["from"] = row.pop("sender")
    return {key: row.pop(key) for key in _FIRST_KEYS} | row


def _row(entry: Message | FeedbackPost | CallbackPost | SimulatedFault) -> dict[str, Any]:
    return {
        key: value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
        for key, value in asdict(entry).items()
    }
