"""The recount of `test_recount` itself: it notices one figure that is off, and only that which may not be."""

import copy

import pytest

from tests.chaos.journeys import Journey
from tests.chaos.recount import grouped, recount
from tests.chaos.reported import QUESTIONS, counts_of, differences, settled

HOUR = "2026-11-29T16:00:00+00:00"
PLACE = (HOUR, "sms", 1)


def journey(**known):
    """Return a journey of one code by SMS, which was delivered, and typed."""
    send = {
        "number": 1,
        "channel": "sms",
        "status": "delivered",
        "error_code": None,
        "feedback": "confirmed",
        "sent_at": "2026-11-29T16:59:59.000Z",
    }
    read = {"status": "approved", "sends": [send]}
    fields = {"id": "ve_1", "sends": 1, "outcomes": {1: "c"}, "read": read}
    return Journey("+14155550123", "US", "login", "code", ("sms",), **(fields | known))


SENT = {("ve_1", 1): {"from": "+15005550006", "status": "delivered"}}
NONE = {("ve_2", 1): SENT["ve_1", 1]}


@pytest.fixture
def facts():
    """Recount two journeys: one was approved, one was refused by a limit."""
    refused = Journey("+4915123450000", "DE", "payment", "link", ("sms",))
    refused.blocked[*PLACE, "client_ip"] = 1
    return recount([journey(), refused], SENT)


def reported(facts):
    """Make the report that says exactly this."""
    return [grouped(facts, group_by, filters) for group_by, filters in QUESTIONS]


def test_a_figure_that_is_off_is_noticed_wherever_it_is(facts):
    """Each figure of each group of each question, one more or one less, is the difference that is told."""
    report = reported(facts)
    assert not differences(facts, report)
    changed = 0
    for asked, groups in enumerate(report):
        for key, figures in groups.items():
            for name, counts in figures.items():
                for value, by in ((value, by) for value in counts for by in (1, -1)):
                    other = copy.deepcopy(report)
                    other[asked][key][name][value] += by
                    [(place, pair)] = differences(facts, other).items()
                    assert (place[-2:], pair) == ((name, value), (counts[value], counts[value] + by))
                    changed += 1
    assert changed > 100


def test_a_group_that_nobody_knows_is_noticed(facts):
    """A group that only the report has is a difference."""
    report = reported(facts)
    report[2]["FR",] = {"sends": {"sent": 1}}
    assert differences(facts, report) == {("country", ("FR",), "sends", "sent"): (0, 1)}


def test_what_is_counted_at_least_once_may_be_more(facts):
    """Where a caller may not have heard of a refusal, the report may have more of them, but not less."""
    report = reported(facts)
    report[2]["DE",]["blocked"]["client_ip"] += 1
    assert differences(facts, report)
    assert not differences(facts, report, may_count_more={"blocked"})
    report[2]["DE",]["blocked"]["client_ip"] -= 2
    assert differences(facts, report, may_count_more={"blocked"})
    more = reported(facts)
    more[2]["US",]["sends"]["confirmed"] += 1
    assert differences(facts, more, may_count_more={"blocked"})


def test_a_label_that_nobody_can_know_is_not_compared(facts):
    """Where the sender may be unknown, only the questions by sender are left out."""
    report = reported(facts)
    for place in (4, 8):
        report[place] = {}
    assert {place[0] for place in differences(facts, report)} == {"sender", "channel"}
    assert not differences(facts, report, unknown={"sender"})
    report[3] = {}
    assert differences(facts, report, unknown={"sender"})


async def test_what_moves_between_the_two_readings_is_read_again(facts):
    """A message that is found after the verifications were read is no difference: the next readings agree."""
    lost = journey(read={"status": "approved", "sends": [journey().read["sends"][0] | {"status": "unknown"}]})
    first = recount([lost], {}), reported(recount([journey()], SENT))
    readings = iter([first, (facts, reported(facts))])

    async def read():
        return next(readings)

    assert differences(*first)
    assert await settled(read, differences, seconds=30) == (facts, {})


async def test_what_stays_different_is_told(facts):
    """If the readings never agree, the last difference is told when the time is over."""

    async def read():
        return facts, reported([])

    _, wrong = await settled(read, differences, seconds=0)
    assert wrong


def test_states_that_do_not_add_up_are_noticed():
    """A group whose sends are not the sum of their states is refused, whatever was recounted."""
    states = {"total": 2, "confirmed": 1, "delivered": 0}
    group = {"verifications": {"total": 1, "approved": 1}, "sends": states, "delivery": {"delivered": 1}}
    with pytest.raises(AssertionError):
        counts_of(group | {"unconverted": {}})


def test_a_message_that_no_verification_has_is_noticed():
    """Whatever the simulator has sent must be a send of a verification that somebody knows."""
    with pytest.raises(AssertionError, match="in no verification"):
        recount([journey()], SENT | NONE)


def test_a_delivery_that_the_simulator_denies_is_noticed():
    """A verification that calls a message delivered which failed at the simulator is a fault."""
    with pytest.raises(AssertionError):
        recount([journey()], {("ve_1", 1): SENT["ve_1", 1] | {"status": "failed"}})


def test_numbers_of_tests_are_no_facts():
    """Nothing is sent to a test number, so nothing of it may be counted."""
    test = journey()
    test.number = "+14155550100"
    assert recount([test], {}) == []
