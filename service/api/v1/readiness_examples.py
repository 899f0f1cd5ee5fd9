"""Examples of `/readyz`, for the OpenAPI document; `examples` has the others."""

from dataclasses import dataclass
from typing import Any

from service.api.readiness import ReadinessResponse, StoreTrouble


@dataclass(frozen=True, slots=True)
class Example:
    """One example: a short title and the value."""

    summary: str
    value: Any


def readiness_examples() -> dict[str, Example]:
    """Return the bodies by name."""
    troubled = _ready("ok", pending=2) | {"store": "partly", "unavailable": [_TROUBLE]}
    confirming = _ready("halted: Twilio answered 401, error 20003", pending=117)
    sending = _ready("ok", pending=117, sending="halted: Twilio failed 5 times in a row")
    overloaded = _ready("ok", pending=2) | {"process": "overloaded: up to 1.2 s late within the last minute"}
    return {
        "ready": Example("All is well", _ready("ok", pending=2)),
        "partly": Example("Some partitions do not work", troubled),
        "overloaded": Example("Ready, while this process is slow", overloaded),
        "halted": Example("Ready, while Twilio refuses the credentials", confirming),
        "sending_halted": Example("Ready, while Twilio fails and new codes are refused", sending),
    }


_TROUBLE = StoreTrouble(
    partitions=["1", "5", "9", "d"],
    cause="refused",
    fix="Nothing listens where REDIS_URL points: start Redis there, or correct the host, port or path.",
).model_dump()


def _ready(confirming: str, *, pending: int, sending: str = "ok") -> dict[str, Any]:
    rest: dict[str, Any] = {"store": "ok", "process": "ok", "api_keys": "ok", "outbox_failed": 0}
    response = ReadinessResponse(**rest, sending=sending, confirming=confirming, outbox_pending=pending)
    return response.model_dump(exclude_none=True)
