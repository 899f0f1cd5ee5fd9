"""The test interface under `/_/`: reads recorded data, plans faults, streams changes.

It is not part of Twilio and needs no credentials. Times are ISO 8601 in UTC. `person` acts for the owners of phones.
    GET    /_/messages?to=    every message in both directions, oldest first; its main keys first, then the others
    DELETE /_/messages        deletes all records and opt-outs, and stops messages in transit; planned faults stay
    GET    /_/feedback?sid=   every feedback post, accepted or not
    GET    /_/callbacks?sid=  every try to post to a webhook
    GET    /_/stats           concurrency, and for each endpoint the number of responses by status
    GET    /_/content         every template with its approval
    POST   /_/content/{sid} {status}  decides on a template as WhatsApp does: `approved`, `rejected` with a
                              `rejection_reason`, `paused` …; 422 if there is no such template or status
    POST, GET, DELETE /_/faults  plan, list and end faults (see `faults`)
    GET    /_/events          server-sent events: `message` (sent by the account), `inbound` (to it), `status`,
                              `outcome` and `scan`, each with one row of /_/messages; `feedback`, `callback` and `call`
                              with one row of theirs; `fault`, when a planned fault is simulated, and again when its
                              request is answered
"""

import json
from collections.abc import AsyncIterator, Callable

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from service.sandbox.connection import end_at_shutdown
from service.sandbox.faults import FaultPlan, Faults
from service.sandbox.ledger import Ledger
from service.sandbox.rows import refuse, row_of, row_of_template
from service.sandbox.templates import ApprovalStatus, Templates
from service.sandbox.twilio_endpoint import Traffic


class _Decision(BaseModel):
    """What WhatsApp decides about a template."""

    model_config = ConfigDict(extra="forbid")

    status: ApprovalStatus
    rejection_reason: str = ""


class Inspection:
    """The test interface of one sandbox."""

    def __init__(
        self, ledger: Ledger, faults: Faults, traffic: Traffic, templates: Templates, *, forget: Callable[[], None]
    ) -> None:
        self._ledger = ledger
        self._faults = faults
        self._traffic = traffic
        self._templates = templates
        self._forget = forget

    def routes(self) -> list[Route]:
        """Return the routes of the test interface."""
        return [
            Route("/_/messages", self.messages, methods=["GET"]),
            Route("/_/messages", self.forget, methods=["DELETE"]),
            Route("/_/feedback", self.feedback, methods=["GET"]),
            Route("/_/callbacks", self.callbacks, methods=["GET"]),
            Route("/_/stats", self.stats, methods=["GET"]),
            Route("/_/content", self.content, methods=["GET"]),
            Route("/_/content/{sid}", self.decide, methods=["POST"]),
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
        return JSONResponse([row_of(message) for message in self._ledger.messages(number)])

    async def forget(self, _: Request) -> Response:
        """Delete messages, feedback, callbacks and counts; stop messages in transit. Planned faults stay."""
        self._forget()
        return Response(status_code=204)

    async def feedback(self, request: Request) -> Response:
        """Return every feedback post with the status of its response, null without one."""
        return JSONResponse([row_of(post) for post in self._ledger.feedback(request.query_params.get("sid"))])

    async def callbacks(self, request: Request) -> Response:
        """Return every callback post with its result."""
        return JSONResponse([row_of(post) for post in self._ledger.callbacks(request.query_params.get("sid"))])

    async def stats(self, _: Request) -> Response:
        """Return the calls in progress, now and at most, and the responses of each endpoint by status."""
        endpoints: dict[str, dict[str, int]] = {}
        for (endpoint, status), times in self._traffic.responses.items():
            endpoints.setdefault(endpoint, {})[str(status) if status else "no_response"] = times
        return JSONResponse(
            {"concurrent_now": self._traffic.now, "concurrent_max": self._traffic.most, "responses": endpoints}
        )

    async def content(self, _: Request) -> Response:
        """Return the templates."""
        return JSONResponse([row_of_template(each) for each in self._templates.all()])

    async def decide(self, request: Request) -> Response:
        """Approve, reject or withdraw a template."""
        template = self._templates.get(request.path_params["sid"])
        if template is None:
            return refuse(ValueError("There is no such template."))
        try:
            decision = _Decision.model_validate_json(await request.body())
        except ValueError as error:
            return refuse(error)
        return JSONResponse(row_of_template(self._templates.decide(template, **decision.model_dump())))

    async def plan_fault(self, request: Request) -> Response:
        """Plan a fault: 201 with the plan, 422 with the error."""
        try:
            plan = FaultPlan.model_validate_json(await request.body())
        except ValueError as error:
            return refuse(error, what="plan")
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
                yield f"event: {name}\ndata: {json.dumps(row_of(entry))}\n\n"
