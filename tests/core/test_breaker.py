"""The promises of `service.core.breaker`: sending halts when Twilio fails, and resumes after one successful probe."""

import pytest

from service.core.breaker import Breaker, BreakerPolicy, SendingHalted
from service.core.sender import (
    AcceptedMessage,
    Refusal,
    SendPostponed,
    SendRefused,
    SendUnknown,
)
from service.core.verification import Delivery

ACCEPTED = AcceptedMessage("SM" + "0" * 32, Delivery.QUEUED)
UNKNOWN = SendUnknown("no clear outcome")
UNREACHABLE = SendPostponed("unreachable", is_unreachable=True)
BUSY = SendPostponed("Twilio answered 429")
REFUSED = SendRefused(Refusal.INVALID_NUMBER, 21211)
WRONG_SENDER = SendRefused(Refusal.SENDER_MISCONFIGURED, 21212)
UNAUTHORIZED = SendRefused(Refusal.CREDENTIALS_REFUSED, 20003, is_of_credentials=True)
FORBIDDEN = SendRefused(Refusal.CREDENTIALS_REFUSED, 20403)
NO_CREDENTIALS = "Twilio refuses the credentials"


class Twilio:
    """A provider that returns or raises what the test sets."""

    def __init__(self):
        self.outcome = ACCEPTED

    async def send(self):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class Scene:
    """A breaker with its clock, provider and event log."""

    def __init__(self):
        self.now = 100.0
        self.twilio = Twilio()
        self.events = []
        self.breaker = Breaker(
            provider="Twilio",
            event_log=lambda event, /, **fields: self.events.append((event, fields)),
            clock=lambda: self.now,
        )

    async def send_each(self, *outcomes, every=0.1):
        """Send once for each outcome; the breaker must pass exceptions on unchanged."""
        for outcome in outcomes:
            self.twilio.outcome = outcome
            if isinstance(outcome, Exception):
                with pytest.raises(type(outcome)) as raised:
                    await self.breaker.watch(self.twilio.send())
                assert raised.value is outcome
            else:
                assert await self.breaker.watch(self.twilio.send()) is outcome
            self.now += every

    def refusal(self):
        """Try to be admitted, which must be refused; return the wait."""
        with pytest.raises(SendingHalted) as halted:
            self.breaker.admit()
        return halted.value.retry_after_seconds


@pytest.fixture
def scene():
    """Return a scene with the service's policy: five failures within 10 s halt for 10 s."""
    return Scene()


@pytest.mark.parametrize("failure", [UNKNOWN, UNREACHABLE], ids=["no clear outcome", "no connection"])
async def test_five_failures_in_a_row_halt_sending(scene, failure):
    """After four failures sends still start; the fifth halts them, with one log line that contains the reason."""
    await scene.send_each(*[failure] * 4)
    assert (scene.breaker.admit(), scene.breaker.halted) == (None, None)
    await scene.send_each(failure)
    assert 9.8 < scene.refusal() <= 10
    assert scene.breaker.halted == "Twilio failed 5 times in a row"
    await scene.send_each(failure, failure)
    assert scene.events == [("sending_halted", {"reason": "Twilio failed 5 times in a row"})]


@pytest.mark.parametrize("outcome", [ACCEPTED, REFUSED], ids=["accepted", "refused"])
async def test_a_definite_result_resets_the_count(scene, outcome):
    """A message that Twilio accepts or refuses shows that Twilio works: rare failures among many sends halt nothing."""
    for _ in range(5):
        await scene.send_each(*[UNKNOWN] * 4, outcome)
    assert scene.breaker.admit() is None
    assert scene.events == []


async def test_credentials_that_twilio_refuses_halt_sending_at_once(scene):
    """A 401 concerns every send: the first one halts, with one error in the log; later ones are not logged."""
    await scene.send_each(UNAUTHORIZED, every=0)
    assert (scene.refusal(), scene.breaker.halted) == (10, NO_CREDENTIALS)
    for _ in range(3):
        scene.now += 10
        assert scene.breaker.admit() is not None
        await scene.send_each(UNAUTHORIZED, every=0)
        assert scene.refusal() == 10
    assert scene.events == [("sending_halted", {"reason": NO_CREDENTIALS})]
    await scene.send_each(ACCEPTED)
    assert (scene.breaker.admit(), scene.breaker.halted) == (None, None)
    assert [event for event, _ in scene.events] == ["sending_halted", "sending_resumed"]


async def test_only_repeated_403_responses_halt_sending(scene):
    """Two 403 responses halt nothing, however far apart, if another result follows; three in a row halt."""
    for _ in range(4):
        await scene.send_each(FORBIDDEN, FORBIDDEN, ACCEPTED, FORBIDDEN, REFUSED, every=100)
    assert (scene.breaker.admit(), scene.events) == (None, [])
    await scene.send_each(FORBIDDEN, UNKNOWN, FORBIDDEN, BUSY, every=100)
    assert scene.breaker.admit() is None
    await scene.send_each(FORBIDDEN)
    assert scene.events == [("sending_halted", {"reason": NO_CREDENTIALS})]


async def test_a_sender_refused_by_one_country_does_not_halt_sending(scene):
    """Refusals because of the sender halt nothing, however often: other countries may accept it."""
    await scene.send_each(*[WRONG_SENDER] * 50)
    assert (scene.breaker.admit(), scene.breaker.halted, scene.events) == (None, None, [])


async def test_a_halt_reports_its_newest_reason(scene):
    """A probe with refused credentials updates the reason of a halt; a 403 alone only prolongs it."""
    await scene.send_each(*[UNKNOWN] * 5, every=0)
    await scene.send_each(FORBIDDEN, every=0)
    assert (scene.refusal(), scene.breaker.halted) == (10, "Twilio failed 5 times in a row")
    await scene.send_each(UNAUTHORIZED, UNKNOWN, every=0)
    assert (scene.refusal(), scene.breaker.halted) == (10, NO_CREDENTIALS)
    assert [fields["reason"] for _, fields in scene.events] == ["Twilio failed 5 times in a row", NO_CREDENTIALS]


async def test_failures_far_apart_do_not_halt_sending(scene):
    """Five failures in a row over more than 10 s do not halt; five within the last 10 s do."""
    await scene.send_each(*[UNKNOWN] * 9, every=2.6)
    assert scene.breaker.admit() is None
    scene.now -= 2.6
    await scene.send_each(*[UNKNOWN] * 3, every=0.5)
    assert scene.refusal() > 9


async def test_a_429_does_not_count_as_a_failure(scene):
    """A 429 neither halts sending, nor resets the count, nor ends a halt: it carries its own Retry-After."""
    await scene.send_each(*[BUSY] * 50)
    assert scene.breaker.admit() is None
    await scene.send_each(*[UNKNOWN] * 4, BUSY, UNKNOWN)
    assert scene.refusal() > 9
    await scene.send_each(BUSY)
    assert scene.breaker.halted is not None


async def test_one_probe_at_a_time_is_admitted(scene):
    """After the pause one send is admitted as the probe; all others keep waiting."""
    await scene.send_each(*[UNKNOWN] * 5, every=0)
    scene.now += 9.9
    assert scene.refusal() == pytest.approx(0.1)
    scene.now += 0.1
    assert scene.breaker.admit() is not None
    assert scene.refusal() == 10
    scene.now += 9
    assert scene.refusal() == 1


@pytest.mark.parametrize("outcome", [ACCEPTED, REFUSED], ids=["accepted", "refused"])
async def test_a_successful_probe_ends_the_halt(scene, outcome):
    """A successful probe ends the halt, which is logged once; the next halt needs five new failures."""
    await scene.send_each(*[UNKNOWN] * 5)
    scene.now += 10
    assert scene.breaker.admit() is not None
    await scene.send_each(outcome, ACCEPTED)
    assert (scene.breaker.admit(), scene.breaker.admit(), scene.breaker.halted) == (None, None, None)
    assert [event for event, _ in scene.events] == ["sending_halted", "sending_resumed"]
    await scene.send_each(*[UNKNOWN] * 4)
    assert scene.breaker.halted is None
    await scene.send_each(UNKNOWN)
    assert [event for event, _ in scene.events] == ["sending_halted", "sending_resumed", "sending_halted"]


@pytest.mark.parametrize("failure", [UNKNOWN, UNREACHABLE], ids=["no clear outcome", "no connection"])
async def test_a_failed_probe_prolongs_the_halt(scene, failure):
    """One failed probe is enough: the next one comes a pause later, and nothing is logged."""
    await scene.send_each(*[UNKNOWN] * 5)
    scene.now += 60
    assert scene.breaker.admit() is not None
    await scene.send_each(failure, every=0)
    assert scene.refusal() == 10
    assert [event for event, _ in scene.events] == ["sending_halted"]


async def test_an_unsent_probe_is_replaced(scene):
    """If a limit or a stored response ends the probe before it reaches the provider, the next send is the probe."""
    await scene.send_each(*[UNKNOWN] * 5)
    scene.now += 10
    scene.breaker.give_back(scene.breaker.admit())
    assert scene.breaker.admit() is not None
    assert scene.refusal() == 10


async def test_a_lost_probe_does_not_block_sending(scene):
    """When a probe gets no response, another one is admitted after a pause."""
    await scene.send_each(*[UNKNOWN] * 5)
    scene.now += 10
    assert scene.breaker.admit() is not None
    scene.now += 10
    assert scene.breaker.admit() is not None


async def test_a_probe_released_after_the_halt_changes_nothing(scene):
    """A probe that is released after another send ended the halt does not halt again."""
    await scene.send_each(*[UNKNOWN] * 5)
    scene.now += 10
    probe = scene.breaker.admit()
    await scene.send_each(ACCEPTED)
    scene.breaker.give_back(probe)
    assert (scene.breaker.admit(), scene.breaker.halted) == (None, None)


async def test_a_completed_probe_cannot_be_released(scene):
    """Releasing a probe that has failed, or that was replaced, ends no pause."""
    await scene.send_each(*[UNKNOWN] * 5)
    scene.now += 10
    failed = scene.breaker.admit()
    scene.now += 1
    await scene.send_each(UNKNOWN, every=0)
    scene.breaker.give_back(failed)
    assert scene.refusal() == 10
    scene.now += 10
    late = scene.breaker.admit()
    scene.now += 10
    assert scene.breaker.admit() is not None
    scene.breaker.give_back(late)
    assert scene.refusal() == 10


def test_a_pause_outlasts_a_failing_send_with_its_retries():
    """Three connection attempts of 2 s with pauses, or one time-out of 5 s, end before the next probe starts."""
    assert BreakerPolicy().pause_seconds > 3 * 2 + 2 * 1


async def test_a_halt_is_not_told_for_ever():
    """A minute after the pause without a send, nobody knows whether the provider fails; the next send is a probe."""
    scene = Scene()
    await scene.send_each(UNAUTHORIZED)
    scene.now += 69.8
    assert scene.breaker.halted == NO_CREDENTIALS
    scene.now += 0.2
    assert scene.breaker.halted is None
    assert scene.breaker.admit() is not None
    with pytest.raises(SendingHalted):
        scene.breaker.admit()
    assert scene.breaker.halted == NO_CREDENTIALS
    await scene.send_each(ACCEPTED)
    assert (scene.breaker.halted, scene.events[-1][0]) == (None, "sending_resumed")
