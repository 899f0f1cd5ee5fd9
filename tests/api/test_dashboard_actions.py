"""What an operator changes on the dashboard: how much at once, and what the log says of it."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from service.api.dashboard.actions import DashboardActions, Operations, Release, Retry
from service.core.outbox import FailedEntry, OutboxEntry
from service.core.store_health import StoreUnavailable

REQUEST: Any = SimpleNamespace(caller=SimpleNamespace(name="operator"))
NUMBER = "+14155550123"


class Outbox:
    """An outbox in which many confirmations have failed, and which fails after some retries."""

    def __init__(self, *, works_for: int) -> None:
        self.retried = 0
        self._works_for = works_for

    async def failed(self) -> AsyncIterator[FailedEntry]:
        for number in range(1500):
            yield FailedEntry(OutboxEntry("0", f"SM{number:032}", 0, 1, 1, ""), 1, "404")

    async def retry(self, _: OutboxEntry) -> bool:
        if self.retried == self._works_for:
            raise StoreUnavailable("retry")
        self.retried += 1
        return True


def actions(log: list[tuple[str, str]], *, works_for: int = 10_000) -> DashboardActions:
    """Return the actions on such an outbox; `log` gets what each did and what it came to."""

    async def release(_: str) -> bool:
        raise StoreUnavailable("release")

    def note(_: str, /, **fields: Any) -> None:
        log.append((fields["operation"], fields["outcome"]))

    return DashboardActions(Operations(Outbox(works_for=works_for), release, lambda _: "f" * 32, note))


async def test_a_thousand_confirmations_are_retried_at_once() -> None:
    """A retry of all ends after a thousand, so that the operator gets a response; the next one retries the rest."""
    log: list[tuple[str, str]] = []
    assert len((await actions(log).retry(REQUEST, Retry()))["retried"]) == 1000
    assert log == [("outbox retry", "done")]


async def test_an_action_that_fails_is_logged() -> None:
    """An action that Redis ends half-way has its event, too: some of it was done."""
    log: list[tuple[str, str]] = []
    with pytest.raises(StoreUnavailable):
        await actions(log, works_for=3).retry(REQUEST, Retry())
    with pytest.raises(StoreUnavailable):
        await actions(log).release(REQUEST, Release(to=NUMBER))
    assert log == [("outbox retry", "failed"), ("numbers release", "failed")]
