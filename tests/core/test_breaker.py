"""The promises of `service.core.breaker`: a Twilio that fails is left alone, and found again by one send at a time."""

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
UNKNOWN = SendUnknown("no clear answer")
UNREACHABLE = SendPostponed("unreachable", is_unreachable=True)
BUSY = SendPostponed("Twilio answered 429")
REFUSED = SendRefused(Refusal.INVALID_NUMBER, 21211)
WRONG_SENDER = SendRefused(Refusal.SENDER_MISCONFIGURED, 21212)
UNAUTHORIZED = SendRefused(Refusal.CREDENTIALS_REFUSED, 20003, is_of_credentials=True)
FORBIDDEN = SendRefused(Refusal.CREDENTIALS_REFUSED, 20403)
NO_CREDENTIALS = "Twilio refuses the credentials"


class Twilio:
    """Answers as it is told."""

    def __init__(self):
        self.answer = ACCEPTED

    async def send(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Scene:
    """A breaker with its clock, its Twilio and its event log."""

    def __init__(self):
        self.now = 100.0
        self.twilio = Twilio()
        self.events = []
        self.breaker = Breaker(
            provider="Twilio",
            event_log=lambda event, /, **fields: self.events.append((event, fields)),
            clock=lambda: self.now,
        )

    async def meet(self, *answers, every=0.1):
        """Send once for each answer; whatever is raised is passed on by the breaker as it is."""
        for answer in answers:
            self.twilio.answer = answer
            if isinstance(answer, Exception):
                with pytest.raises(type(answer)) as raised:
                    await self.breaker.watch(self.twilio.send())
                assert raised.value is answer
            else:
                assert await self.breaker.watch(self.twilio.send()) is answer
            self.now += every

    def refusal(self):
        """Ask to be admitted, which must be refused; return the wait."""
        with pytest.raises(SendingHalted) as halted:
            self.breaker.admit()
        return halted.value.retry_after_seconds


@pytest.fixture
def scene():
    """Return a scene with the policy of the service: five failures within 10 s, a pause of 10 s."""
    return Scene()


@pytest.mark.parametrize("failure", [UNKNOWN, UNREACHABLE], ids=["no clear answer", "no connection"])
async def test_five_failures_in_a_row_halt_sending(scene, failure):
    """Four failures let sends begin, the fifth halts them; the log has one line with the reason."""
    await scene.meet(*[failure] * 4)
    assert (scene.breaker.admit(), scene.breaker.halted) == (None, None)
    await scene.meet(failure)
    assert 9.8 < scene.refusal() <= 10
    assert scene.breaker.halted == "Twilio failed 5 times in a row"
    await scene.meet(failure, failure)
    assert scene.events == [("sending_halted", {"reason": "Twilio failed 5 times in a row"})]


@pytest.mark.parametrize("answer", [ACCEPTED, REFUSED], ids=["accepted", "refused"])
async def test_a_clear_answer_starts_the_count_anew(scene, answer):
    """A message that Twilio takes or refuses shows that Twilio works: rare faults among many sends halt nothing."""
    for _ in range(5):
        await scene.meet(*[UNKNOWN] * 4, answer)
    assert scene.breaker.admit() is None
    assert scene.events == []


async def test_credentials_that_twilio_refuses_halt_sending_at_once(scene):
    """A 401 is about every send: the first one halts, with one error in the log; more of them are silent."""
    await scene.meet(UNAUTHORIZED, every=0)
    assert (scene.refusal(), scene.breaker.halted) == (10, NO_CREDENTIALS)
    for _ in range(3):
        scene.now += 10
        assert scene.breaker.admit() is not None
        await scene.meet(UNAUTHORIZED, every=0)
        assert scene.refusal() == 10
    assert scene.events == [("sending_halted", {"reason": NO_CREDENTIALS})]
    await scene.meet(ACCEPTED)
    assert (scene.breaker.admit(), scene.breaker.halted) == (None, None)
    assert [event for event, _ in scene.events] == ["sending_halted", "sending_resumed"]


async def test_a_403_may_be_of_one_message(scene):
    """Two 403 halt nothing, however far apart, if another answer follows; the third in a row does."""
    for _ in range(4):
        await scene.meet(FORBIDDEN, FORBIDDEN, ACCEPTED, FORBIDDEN, REFUSED, every=100)
    assert (scene.breaker.admit(), scene.events) == (None, [])
    await scene.meet(FORBIDDEN, UNKNOWN, FORBIDDEN, BUSY, every=100)
    assert scene.breaker.admit() is None
    await scene.meet(FORBIDDEN)
    assert scene.events == [("sending_halted", {"reason": NO_CREDENTIALS})]


async def test_a_sender_that_one_country_refuses_is_no_alarm(scene):
    """What Twilio refuses for the sender's sake halts nothing, however often: other countries may take it."""
    await scene.meet(*[WRONG_SENDER] * 50)
    assert (scene.breaker.admit(), scene.breaker.halted, scene.events) == (None, None, [])


async def test_a_halt_tells_its_newest_reason(scene):
    """A probe that meets refused credentials says so in a halt of a failing Twilio; a 403 alone prolongs it only."""
    await scene.meet(*[UNKNOWN] * 5, every=0)
    await scene.meet(FORBIDDEN, every=0)
    assert (scene.refusal(), scene.breaker.halted) == (10, "Twilio failed 5 times in a row")
    await scene.meet(UNAUTHORIZED, UNKNOWN, every=0)
    assert (scene.refusal(), scene.breaker.halted) == (10, NO_CREDENTIALS)
    assert [fields["reason"] for _, fields in scene.events] == ["Twilio failed 5 times in a row", NO_CREDENTIALS]


async def test_failures_far_apart_halt_nothing(scene):
    """Five failures in a row over more than 10 s are no halt; five within the last 10 s are."""
    await scene.meet(*[UNKNOWN] * 9, every=2.6)
    assert scene.breaker.admit() is None
    scene.now -= 2.6
    await scene.meet(*[UNKNOWN] * 3, every=0.5)
    assert scene.refusal() > 9


async def test_a_busy_twilio_is_not_a_failing_one(scene):
    """A 429 neither halts sending, nor starts the count anew, nor ends a halt: it says itself when to come back."""
    await scene.meet(*[BUSY] * 50)
    assert scene.breaker.admit() is None
    await scene.meet(*[UNKNOWN] * 4, BUSY, UNKNOWN)
    assert scene.refusal() > 9
    await scene.meet(BUSY)
    assert scene.breaker.halted is not None


async def test_one_send_at_a_time_is_let_through_to_see(scene):
    """After the pause one send is admitted and told that it is the probe; all others wait on."""
    await scene.meet(*[UNKNOWN] * 5, every=0)
    scene.now += 9.9
    assert scene.refusal() == pytest.approx(0.1)
    scene.now += 0.1
    assert scene.breaker.admit() is not None
    assert scene.refusal() == 10
    scene.now += 9
    assert scene.refusal() == 1


@pytest.mark.parametrize("answer", [ACCEPTED, REFUSED], ids=["accepted", "refused"])
async def test_a_probe_that_is_answered_ends_the_halt(scene, answer):
    """A clear answer ends the halt, which is logged once, and five new failures are needed for the next one."""
    await scene.meet(*[UNKNOWN] * 5)
    scene.now += 10
    assert scene.breaker.admit() is not None
    await scene.meet(answer, ACCEPTED)
    assert (scene.breaker.admit(), scene.breaker.admit(), scene.breaker.halted) == (None, None, None)
    assert [event for event, _ in scene.events] == ["sending_halted", "sending_resumed"]
    await scene.meet(*[UNKNOWN] * 4)
    assert scene.breaker.halted is None
    await scene.meet(UNKNOWN)
    assert [event for event, _ in scene.events] == ["sending_halted", "sending_resumed", "sending_halted"]


@pytest.mark.parametrize("failure", [UNKNOWN, UNREACHABLE], ids=["no clear answer", "no connection"])
async def test_a_probe_that_fails_prolongs_the_halt(scene, failure):
    """One more failure is enough: the next probe comes a pause later, and the log stays silent."""
    await scene.meet(*[UNKNOWN] * 5)
    scene.now += 60
    assert scene.breaker.admit() is not None
    await scene.meet(failure, every=0)
    assert scene.refusal() == 10
    assert [event for event, _ in scene.events] == ["sending_halted"]


async def test_a_probe_that_was_not_sent_makes_room_for_another(scene):
    """If a limit or a kept answer ends the probe before it reaches the provider, the next send is the probe."""
    await scene.meet(*[UNKNOWN] * 5)
    scene.now += 10
    scene.breaker.give_back(scene.breaker.admit())
    assert scene.breaker.admit() is not None
    assert scene.refusal() == 10


async def test_a_probe_that_vanishes_does_not_block_sending(scene):
    """When a probe gets no answer, another one is let through a pause later."""
    await scene.meet(*[UNKNOWN] * 5)
    scene.now += 10
    assert scene.breaker.admit() is not None
    scene.now += 10
    assert scene.breaker.admit() is not None


async def test_what_is_given_back_after_the_halt_changes_nothing(scene):
    """A probe that comes back when another send has ended the halt does not start it anew."""
    await scene.meet(*[UNKNOWN] * 5)
    scene.now += 10
    probe = scene.breaker.admit()
    await scene.meet(ACCEPTED)
    scene.breaker.give_back(probe)
    assert (scene.breaker.admit(), scene.breaker.halted) == (None, None)


async def test_a_probe_of_which_twilio_has_spoken_is_not_given_back(scene):
    """A probe that failed, or one whose place was taken, ends no pause when it is given back."""
    await scene.meet(*[UNKNOWN] * 5)
    scene.now += 10
    failed = scene.breaker.admit()
    scene.now += 1
    await scene.meet(UNKNOWN, every=0)
    scene.breaker.give_back(failed)
    assert scene.refusal() == 10
    scene.now += 10
    late = scene.breaker.admit()
    scene.now += 10
    assert scene.breaker.admit() is not None
    scene.breaker.give_back(late)
    assert scene.refusal() == 10


def test_a_pause_is_longer_than_a_send_that_fails_with_its_repeats():
    """Three tries of 2 s to connect with pauses, or one silence of 5 s, end before the next probe begins."""
    assert BreakerPolicy().pause_seconds > 3 * 2 + 2 * 1
