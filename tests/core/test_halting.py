"""The promises of `outbox.halting`: a receiver that fails or asks for patience gets one entry at a time."""

import pytest

from service.core.outbox.halting import Halt, HaltPolicy


class Clock:
    """A clock that is moved by hand."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    """Return a clock that stands still."""
    return Clock()


@pytest.fixture
def halt(clock):
    """Return a halt with the policy of the service: 8 failures, then a probe every 5 s."""
    return Halt(HaltPolicy(), clock, kind="confirmation")


def fail(halt, *sids, retry_after=None):
    """Let these confirmations fail; return what each failure tells."""
    return [halt.fail(sid, "Twilio answered 500", retry_after) for sid in sids]


def test_eight_failures_in_a_row_halt_posting(halt, clock):
    """Seven failures halt nothing, the eighth does, for 5 s; only that one is news, and the reason counts them."""
    assert fail(halt, *"abcdefg") == [False] * 7
    assert (halt.reason, halt.seconds_left) == (None, 0)
    assert fail(halt, *"hi") == [True, False]
    assert halt.reason == "8 confirmations in a row failed: Twilio answered 500"
    assert halt.seconds_left == 5
    clock.now += 5
    assert halt.seconds_left == 0
    assert halt.reason is not None  # a probe may go, nothing else


def test_an_answer_in_between_starts_the_count_anew(halt):
    """A rare fault among many posts stops nothing."""
    for _ in range(5):
        fail(halt, *"abcdefg")
        assert halt.answered("x") is False
    assert halt.reason is None


def test_one_confirmation_that_always_fails_halts_nothing(halt):
    """The failures must be of different confirmations: one that always fails halts nothing."""
    assert not any(fail(halt, *["poison"] * 50))
    assert halt.reason is None


def test_the_first_answer_ends_a_halt(halt, clock):
    """After the pause one probe goes, and the next after another pause; the first answer lets all go at once."""
    fail(halt, *"abcdefgh")
    clock.now += 5
    halt.begin_probe()
    assert halt.seconds_left == 5
    clock.now += 1
    assert halt.answered("i") is True
    assert (halt.reason, halt.seconds_left, halt.answered("i")) == (None, 0, False)


@pytest.mark.parametrize(("asked", "waits"), [(None, 0), (0, 0), (7.5, 7.5), (60, 60), (3600, 60)])
def test_retry_after_holds_for_all_and_a_minute_at_most(halt, clock, asked, waits):
    """A Retry-After for one confirmation holds for all of them, a minute at most, and is no halt."""
    fail(halt, "a", retry_after=asked)
    assert halt.seconds_left == waits
    assert halt.reason is None
    clock.now += waits
    assert halt.seconds_left == 0


def test_an_answer_under_way_does_not_end_the_wait(halt):
    """A post that began before a 429 and succeeds after it does not end the wait that Twilio asked for."""
    fail(halt, "a", retry_after=10)
    fail(halt, "b", retry_after=2)  # the longer one counts
    halt.answered("c")
    assert halt.seconds_left == 10


def test_refused_credentials_halt_at_once_and_for_longer(halt, clock):
    """One refusal is enough, the pause is 30 s, and each further one is no news until an answer has ended it."""
    assert halt.forbid("Twilio answered 401") is True
    assert halt.forbid("Twilio answered 401") is False
    assert (halt.reason, halt.seconds_left) == ("Twilio answered 401", 30)
    assert fail(halt, *"abcdefghij") == [False] * 10  # a failing probe does not make it a smaller fault
    assert (halt.reason, halt.seconds_left) == ("Twilio answered 401", 30)
    clock.now += 30
    assert halt.answered("k") is True
    assert halt.forbid("Twilio answered 401") is True


def test_refused_credentials_are_news_while_twilio_fails(halt):
    """Of two halts the one that an operator must end is told."""
    fail(halt, *"abcdefgh")
    assert halt.forbid("Twilio answered 401") is True
    assert (halt.reason, halt.seconds_left) == ("Twilio answered 401", 30)
