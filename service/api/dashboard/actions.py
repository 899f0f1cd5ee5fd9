"""What an operator can change on the dashboard: retry failed confirmations, and release a number.

Both need a key that also has the scope `operate`. Each writes the event `dashboard_action` with the name of the key,
whether it succeeds or not. The log may drop it, unlike the audit lines of the commands, because no request waits for
the reader of the log.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field
from starlette.routing import BaseRoute

from service.core.event_log import EventLog
from service.core.outbox import FailedEntry, OutboxEntry
from service.core.phone import canonical_number
from service.http.authentication import Access
from service.http.request import Request
from service.http.route import DirectRoute

RETRY_PATH = "/dashboard/confirmations/retry"
RELEASE_PATH = "/dashboard/numbers/release"
_TAG_LENGTH = 8  # as in the audit lines of the commands
_MOST_RETRIED = 1000  # at once: each is a step of its own, and the operator waits

Sid = Annotated[str, Field(min_length=1, max_length=64)]


class FailedQueue(Protocol):
    """Lists what was given up, and enqueues it again."""

    def failed(self) -> AsyncIterator[FailedEntry]:
        """Iterate over what was given up."""

    async def retry(self, entry: OutboxEntry) -> bool:
        """Enqueue an entry again; False if it is no longer among the failed."""


class Retry(BaseModel):
    """Which confirmations to retry; without a SID all of them, a thousand at once."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    sids: list[Sid] | None = Field(None, max_length=50)


class Release(BaseModel):
    """Which number to release."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    to: str = Field(min_length=1, max_length=40, repr=False)


@dataclass(frozen=True, slots=True)
class Operations:
    """What the actions call."""

    outbox: FailedQueue
    release: Callable[[str], Awaitable[bool]]
    number_tag: Callable[[str], str]
    event_log: EventLog


class DashboardActions:
    """Carries out what an operator asks for."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def routes(self, access: Access) -> list[BaseRoute]:
        """List the routes."""
        route = partial(DirectRoute, access=access, methods=["POST"], include_in_schema=False)
        return [route(RETRY_PATH, self.retry), route(RELEASE_PATH, self.release)]

    async def retry(self, request: Request, body: Retry) -> dict[str, Any]:
        """Enqueue failed confirmations again."""
        outbox, chosen = self._operations.outbox, []
        with self._logged(request, "outbox retry"):
            async for failed in outbox.failed():
                if body.sids is None or failed.entry.key in body.sids:
                    chosen.append(failed.entry)
                if len(chosen) == _MOST_RETRIED:
                    break
            retried = [entry.key for entry in chosen if await outbox.retry(entry)]
        return {"retried": retried}

    async def release(self, request: Request, body: Release) -> dict[str, Any]:
        """Release the locks of a number."""
        number = canonical_number(body.to)
        with self._logged(request, "numbers release", number_tag=self._operations.number_tag(number)[:_TAG_LENGTH]):
            released = await self._operations.release(number)
        return {"released": released}

    @contextmanager
    def _logged(self, request: Request, operation: str, *, number_tag: str | None = None) -> Iterator[None]:
        """Write the event of an action: `done`, or `failed` if it raises."""
        outcome = "failed"
        try:
            yield
            outcome = "done"
        finally:
            self._operations.event_log(
                "dashboard_action",
                operation=operation,
                api_key=request.caller.name if request.caller else None,
                number_tag=number_tag,
                outcome=outcome,
            )
