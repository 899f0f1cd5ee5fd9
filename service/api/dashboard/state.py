"""What the dashboard shows beside the reports: the outbox, its failed confirmations, and what does not work."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.routing import BaseRoute

from service.api.readiness import QueueState
from service.core.confirming import failed_fields
from service.core.outbox import FailedEntry
from service.core.store_health import StoreHealth, StoreUnavailable
from service.http.authentication import Access
from service.http.request import Request
from service.http.route import DirectRoute

STATE_PATH = "/dashboard/state"
_MOST_FAILED = 50  # shown; `otp-service outbox failed` lists all


class FailedConfirmations(Protocol):
    """Reads the queue, and the confirmations that were given up."""

    async def state(self) -> QueueState:
        """Look at the queue. Raises `StoreUnavailable`."""

    def failed(self) -> AsyncIterator[FailedEntry]:
        """Iterate over what was given up. Raises `StoreUnavailable`."""


@dataclass(frozen=True, slots=True)
class StateView:
    """What the endpoint reads."""

    outbox: FailedConfirmations
    awaiting_sid: Callable[[], Awaitable[int]]
    health: Callable[[], Awaitable[StoreHealth]]
    sending_halted: Callable[[], str | None]
    version: str


class DashboardState:
    """Responds with the state of the service."""

    def __init__(self, view: StateView) -> None:
        self._view = view

    def routes(self, access: Access) -> list[BaseRoute]:
        """List the route."""
        return [DirectRoute(STATE_PATH, self.show, access=access, include_in_schema=False)]

    async def show(self, request: Request) -> Mapping[str, Any]:  # noqa: ARG002 - every endpoint gets the request
        """Show the state. What cannot be read is null."""
        view = self._view
        health, queue, awaiting_sid, failed = await asyncio.gather(
            view.health(), _known(view.outbox.state()), _known(view.awaiting_sid()), _known(self._failed())
        )
        halted = view.sending_halted()
        return {
            "version": view.version,
            "partitions_unavailable": len(health.faults),
            "fixes": sorted({fault.sentence for fault in health.faults.values()}),
            "sending_halted": None if halted is None else str(halted),
            "outbox": None if queue is None else _outbox(queue, awaiting_sid),
            "failed": failed,
        }

    async def _failed(self) -> list[Mapping[str, Any]]:
        found = [entry async for entry in _first(self._view.outbox.failed(), _MOST_FAILED)]
        return [failed_fields(entry) for entry in sorted(found, key=lambda entry: -entry.failed_at_ms)]


def _outbox(queue: QueueState, awaiting_sid: int | None) -> Mapping[str, Any]:
    return {
        "pending": queue.pending,
        "failed": queue.failed,
        "oldest_seconds": round(queue.oldest_seconds, 1),
        "awaiting_sid": awaiting_sid,
        "halted": queue.halted,
        "is_worked": queue.is_worked,
    }


async def _first(entries: AsyncIterator[FailedEntry], most: int) -> AsyncIterator[FailedEntry]:
    count = 0
    async for entry in entries:
        yield entry
        count += 1
        if count == most:
            return


async def _known(read: Awaitable[Any]) -> Any:
    """Read a value; None if Redis is unavailable."""
    try:
        return await read
    except StoreUnavailable:
        return None
