"""Writes what a sandbox has as JSON of the test interface: times in ISO 8601 UTC, `from` for a sender; and refusals."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

from service.sandbox.records import Call, CallbackPost, FeedbackPost, Message, SimulatedFault
from service.sandbox.templates import Template

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


def row_of(entry: Message | Call | FeedbackPost | CallbackPost | SimulatedFault) -> dict[str, Any]:
    """Return an entry as the test interface writes it; of a message the agreed keys first, then the rest."""
    row = {"from" if key == "sender" else key: _plain(value) for key, value in asdict(entry).items()}
    return {key: row.pop(key) for key in _FIRST_KEYS} | row if isinstance(entry, Message) else row


def row_of_template(template: Template) -> dict[str, Any]:
    """Return a template with its approval."""
    return {key: _plain(value) for key, value in asdict(template).items()}


def refuse(refused: ValueError, *, what: str = "body") -> Response:
    """Respond with 422 and the reason."""
    if isinstance(refused, ValidationError):
        wrong = [f"{'.'.join(map(str, each['loc'])) or what}: {each['msg']}" for each in refused.errors()]
        return JSONResponse({"error": "; ".join(wrong)}, 422)
    return JSONResponse({"error": str(refused)}, 422)


def _plain(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
