"""The promises of `outbox.halting`: a receiver that fails or sends Retry-After gets one entry at a time."""

import pytest

from service.core.outbox.halting import Halt, HaltPolicy


class Clock:
    """A clock that the test advances."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    """Return a clock that does not advance by itself."""
    return Clock()


@pytest.fixture
def halt(clock):
    """Return a halt with the service's policy: 8 failures, then a probe every 5 s."""
    return Halt(HaltPolicy(), clock, kind="confirmation")


def fail(halt, *sids, retry_after=None):
    """Let these confirmations fail; return what each failure reports."""
    return [halt.fail(sid, "Twilio answered 500", retry_after) for sid in sids]


def test_eight_failures_in_a_row_halt_posting(halt, clock):
    """The eighth failure halts posting for 5 s; only that one is reported, with the number of failures."""
    assert fail(halt, *"abcdefg") == [False] * 7
    assert (halt.reason, halt.seconds_left) == (None, 0)
    assert fail(halt, *"hi") == [True, False]
    assert halt.reason == "8 confirmations in a row failed: Twilio answered 500"
    assert halt.seconds_left == 5
    clock.now += 5
    assert halt.seconds_left == 0
    assert halt.reason is not None  # a probe may be sent, nothing else


def test_a_success_resets_the_count(halt):
    """A rare failure among many posts halts nothing."""
    for _ in range(5):
        fail(halt, *"abcdefg")
        assert halt.answered("x") is False
    assert halt.reason is None


def test_one_confirmation_that_always_fails_halts_nothing(halt):
    """The failures must concern different confirmations: one that always fails halts nothing."""
    assert not any(fail(halt, *["poison"] * 50))
    assert halt.reason is None


def test_the_first_success_ends_a_halt(halt, clock):
    """After each pause one probe is sent; the first success resumes all posting at once."""
    fail(halt, *"abcdefgh")
    clock.now += 5
    halt.begin_probe()
    assert halt.seconds_left == 5
    clock.now += 1
    assert halt.answered("i") is True
    assert (halt.reason, halt.seconds_left, halt.answered("i")) == (None, 0, False)


@pytest.mark.parametrize(("asked", "waits"), [(None, 0), (0, 0), (7.5, 7.5), (60, 60), (3600, 60)])
def test_retry_after_applies_to_all_for_a_minute_at_most(halt, clock, asked, waits):
    """A Retry-After for one confirmation applies to all of them, for a minute at most, and is not a halt."""
    fail(halt, "a", retry_after=asked)
    assert halt.seconds_left == waits
    assert halt.reason is None
    clock.now += waits
    assert halt.seconds_left == 0


def test_a_late_success_does_not_end_the_wait(halt):
    """A post that started before a 429 and succeeds after it does not end the wait that Twilio asked for."""
    fail(halt, "a", retry_after=10)
    fail(halt, "b", retry_after=2)  # the longer one counts
    halt.answered("c")
    assert halt.seconds_left == 10


def test_refused_credentials_halt_at_once_and_for_longer(halt, clock):
    """One refusal halts for 30 s; further ones are not reported until a success has ended the halt."""
    assert halt.forbid("Twilio answered 401") is True
    assert halt.forbid("Twilio answered 401") is False
    assert (halt.reason, halt.seconds_left) == ("Twilio answered 401", 30)
    assert fail(halt, *"abcdefghij") == [False] * 10  # a failing probe does not shorten the pause
    assert (halt.reason, halt.seconds_left) == ("Twilio answered 401", 30)
    clock.now += 30
    assert halt.answered("k") is True
    assert halt.forbid("Twilio answered 401") is True


def test_refused_credentials_are_reported_while_twilio_fails(halt):
    """When Twilio fails and refuses the credentials, the halt that an operator must end is reported."""
    fail(halt, *"abcdefgh")
    assert halt.forbid("Twilio answered 401") is True
    assert (halt.reason, halt.seconds_left) == ("Twilio answered 401", 30)
