"""The promises of `service.event_loop`: the greatest lag of a minute is known, and a great one is logged."""

import asyncio
import time

import pytest

from service.event_loop import START_SECONDS, EventLoopLag


class Log(list):
    """An event log that keeps what is written."""

    def __call__(self, event, /, **fields):
        self.append((event, fields))


@pytest.fixture
async def lag():
    """Measure until the test ends; give the measure and its log."""
    log = Log()
    measure = EventLoopLag(log)
    yield measure, log
    measure.stop()


async def test_a_start_is_no_lag(lag):
    """A loop that is blocked while the application is built is not reported as late."""
    measure, log = lag
    time.sleep(0.7)  # noqa: ASYNC251 - it shall block the loop
    await asyncio.sleep(START_SECONDS)
    assert (measure.seconds < 0.5, log) == (True, [])


async def test_a_blocked_event_loop_is_measured_and_logged_once(lag, eventually):
    """A loop that was blocked for 0.7 s was about that late; twice within a minute is one line."""
    measure, log = lag
    await asyncio.sleep(START_SECONDS + 0.15)
    for _ in range(2):
        time.sleep(0.7)  # noqa: ASYNC251 - it shall block the loop
        assert await eventually(lambda: measure.seconds > 0.5)
        await asyncio.sleep(0.15)
    assert 0.5 < measure.seconds < 5
    [(event, fields)] = log
    assert (event, 500 < fields["delay_ms"] < 5000) == ("event_loop_late", True)


async def test_a_lag_is_forgotten_after_a_minute(lag, monkeypatch):
    """A lag of more than a minute ago is no longer reported."""
    measure, _ = lag
    now = [measure._loop.time()]
    monkeypatch.setattr(measure, "_loop", Clock(now))
    measure._due = now[0] - 2
    measure._measure()
    told = []
    for _ in range(700):
        now[0] += 0.1
        measure._due = now[0]
        measure._measure()
        told.append(measure.seconds)
    assert (told[490], told[-1]) == (2.0, 0.0)


class Clock:
    """The clock of an event loop that stands still; timers are set on none."""

    def __init__(self, now):
        self._now = now

    def time(self):
        return self._now[0]

    def call_at(self, *_):
        return asyncio.get_running_loop().call_later(1e6, lambda: None)
