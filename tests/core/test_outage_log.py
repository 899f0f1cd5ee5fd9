"""The promise of `core.outage_log`: an outage of the store is logged at once, rarely while it lasts, and at its end."""

import pytest

from service.core.outage_log import OutageLog
from service.core.store_health import StoreCause, StoreFault, StoreUnavailable

AWAY = StoreUnavailable("claim", StoreFault(StoreCause.REFUSED, "Start it."))


class Outages:
    """An outage log with a clock that the test moves; `lines` are its events, each with its time."""

    def __init__(self):
        self.now = 100.0
        self.lines = []
        self.log = OutageLog(self._write, clock=lambda: self.now)

    def _write(self, event, /, **fields):
        self.lines.append((self.now - 100, event, fields))

    def fail_for(self, seconds):
        """Fail once a second for so long."""
        for _ in range(seconds):
            self.log.failed(AWAY)
            self.now += 1


@pytest.fixture
def outages():
    """Return a new `Outages`."""
    return Outages()


def test_the_lines_of_an_outage_become_rare(outages):
    """A step that fails once a second writes lines after 1, 2, 4 … 60 s, each with the reason."""
    outages.fail_for(250)
    assert [at for at, _, _ in outages.lines] == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]
    assert {(event, fields["reason"]) for _, event, fields in outages.lines} == {("worker_waits_for_store", str(AWAY))}


def test_the_end_is_one_line(outages):
    """When the store works again, one line says for how long it failed, and the next outage begins anew."""
    outages.log.worked()
    assert outages.lines == []
    outages.fail_for(61)
    outages.lines.clear()
    outages.now += 5
    outages.log.worked()
    outages.log.worked()
    assert [(event, fields) for _, event, fields in outages.lines] == [("worker_continues", {"waited_ms": 60_000})]
    outages.fail_for(2)
    assert [event for _, event, _ in outages.lines[1:]] == ["worker_waits_for_store"] * 2


def test_a_store_that_works_in_part_is_one_outage(outages):
    """Steps that fail and succeed by turns are one outage, not one for each failure."""
    for _ in range(60):
        outages.fail_for(1)
        outages.log.worked()
    assert [event for _, event, _ in outages.lines] == ["worker_waits_for_store"] * 6


def test_others_have_events_of_their_own(outages):
    """Outages of another kind are logged in the same way, under the names that are given."""
    outages.log = OutageLog(outages._write, clock=lambda: outages.now, failed="wait_failed", ended="wait_works")
    outages.fail_for(1)
    outages.now += 5
    outages.log.worked()
    assert [event for _, event, _ in outages.lines] == ["wait_failed", "wait_works"]
