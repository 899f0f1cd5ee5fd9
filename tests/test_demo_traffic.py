"""The promises of `service.demo.traffic`: 30 believable days, in the counters that the report reads."""

from collections import Counter

import pytest

from service.core.reports.counters import SENDS, Bucket, Ending, read_labels, read_state
from service.core.reports.figures import Figures
from service.core.reports.sums import Sums
from service.demo.traffic.counters import write_hour
from service.demo.traffic.plan import COUNTRIES, DAYS, Outcome, planned_hours

NOW = 496_000  # hours since 1970
SENDERS = {"sms": "+15005550006", "whatsapp": "whatsapp:+15005550006"}


class Funnel(dict):
    """Keeps what is filled, by hour."""

    async def fill(self, name, rows, ends):
        self[int(name[1:])] = Bucket(int(name[1:]) * 3_600_000, 3_600_000, rows, ends)


@pytest.fixture(scope="module")
def plan():
    """Return the plan: what ends how, by hour."""
    return dict(planned_hours(NOW))


@pytest.fixture
async def funnel(plan):
    """Write a day of the plan."""
    filled = Funnel()
    for hour in range(NOW - 24, NOW):
        await write_hour(filled, hour, plan[hour], senders=SENDERS)
    return filled


def verifications(plan, country, hours):
    """Count the verifications of a country by outcome, in hours before now."""
    counted = Counter()
    for hours_ago in hours:
        for one in plan[NOW - hours_ago]:
            counted[one.outcome] += one.count if one.country == country else 0
    return counted


def test_the_plan_is_the_same_for_the_same_seed(plan):
    """Two demos show the same days; every hour of them is planned, and another seed plans others."""
    assert sorted(plan) == list(range(NOW - DAYS * 24, NOW))
    assert dict(planned_hours(NOW)) == plan
    assert dict(planned_hours(NOW, seed=1)) != plan


def test_people_sleep(plan):
    """Germany sends several times as much at noon as at night, in its own time zone."""
    by_hour = Counter()
    for hour, planned in plan.items():
        by_hour[(hour + 1) % 24] += sum(one.count for one in planned if one.country == "DE")
    assert by_hour[14] > 4 * by_hour[3]


def test_the_special_hours_are_there(plan):
    """A broken route, a pumping attack and a campaign differ from what is usual there."""
    usual, broken = verifications(plan, "FR", range(30, 54)), verifications(plan, "FR", range(1, 20))
    assert usual[Outcome.APPROVED] > 0.8 * usual.total()
    assert broken[Outcome.APPROVED] < 0.3 * broken.total()
    pumped = verifications(plan, "LV", range(200, 236))
    assert pumped.total() > 20 * verifications(plan, "LV", range(300, 336)).total()
    assert pumped[Outcome.BLOCKED] > pumped[Outcome.APPROVED]
    assert verifications(plan, "BR", range(122, 127))[Outcome.LATE] > 50


async def test_the_counters_are_those_of_the_scripts(plan, funnel):
    """The report can read each state, states add up to the sends, and outcomes are those of the plan."""
    sums = Sums()
    for bucket in funnel.values():
        for labels, counters in bucket.rows.items():
            named = [read_state(name) for name in counters if name[0].isdigit()]
            assert all(named)
            assert counters.get(SENDS, 0) == sum(count for name, count in counters.items() if name[0].isdigit())
            sums.add(read_labels(labels), counters, is_open=False)
    figures, planned = Figures(sums), Counter()
    for hour in funnel:
        for one in plan[hour]:
            planned[one.outcome] += one.count
    assert figures.verifications[Ending.APPROVED] == planned[Outcome.APPROVED] + planned[Outcome.BY_RESEND]
    assert figures.verifications.total() == planned.total() - planned[Outcome.BLOCKED]
    assert figures.sends["confirmed_late"] == planned[Outcome.LATE]
    assert figures.countries == {country.code for country in COUNTRIES}
