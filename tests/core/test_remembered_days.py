"""Reports over many days: what was added up once is used again, and never when it is no longer true."""

import pytest

from service.core.reports.counters import DAY_MS, HOUR_MS, Bucket
from service.core.reports.question import read_question
from service.core.reports.remembered import Past, Remembered
from service.core.reports.report import Conversion
from service.core.reports.sums import Sums
from tests.core.test_reports import DE, NOW_MS, US, Kept, hour, long_ago


async def told(conversion, now_ms=NOW_MS, **given):
    """Return the JSON of a report of 300 days."""
    return (await conversion.report(read_question({"since": "300d", **given}, now_ms))).json()


@pytest.mark.parametrize("group_by", ["day", "country", "channel,day", "channel,sender", ""])
async def test_past_days_are_read_once(group_by):
    """The same report again reads no day, and says the same, whatever hours were added to the days in between."""
    recent = hour(1, {US: {"n": 3, "3d.c2.a": 2}, DE: {"n": 1}})
    store = Kept(recent, days=long_ago())
    conversion = Conversion(store)
    shown = [await told(conversion, group_by=group_by) for _ in range(3)]
    assert store.times_read == 1
    assert shown[0] == shown[1] == shown[2] == await told(Conversion(store), group_by=group_by)
    assert shown[0]["total"]["sends"]["total"] == 200 * 60 * 100 + 4


async def test_hours_are_added_to_a_copy():
    """A group that has past days and new hours is right each time, though its past is used again."""
    days = long_ago()
    for sends in (1, 5):
        store = Kept(hour(1, {US: {"n": sends}}), days=days)
        conversion = Conversion(store)
        for _ in range(3):
            groups = (await told(conversion, group_by="channel"))["groups"]
            assert groups[0]["sends"]["total"] == 200 * 60 * 100 + sends
        assert store.times_read == 1


async def test_other_questions_are_others():
    """Another filter, grouping or time zone is answered for itself."""
    conversion = Conversion(Kept(days=long_ago()))
    by_day = {"group_by": "day"}
    for given in ({"country": "AA"}, {"country": "AB"}, {}, by_day, {**by_day, "tz": "Asia/Tokyo"}):
        assert await told(conversion, **given) == await told(Conversion(Kept(days=long_ago())), **given)


async def test_a_day_that_changed_is_read_again():
    """When the document of a day changes, the report has the new figures at once."""
    days = long_ago()
    store = Kept(days=days)
    conversion = Conversion(store)
    before = await told(conversion)
    store._days = [*days[:-1], days[-1]._replace(rows={US: {"n": 7}})]
    after = await told(conversion)
    assert before["total"]["sends"]["total"] - after["total"]["sends"]["total"] == 60 * 100 - 7
    assert store.times_read == 2


async def test_days_with_open_codes_are_not_remembered():
    """While a code of a day can still be typed, its verification is open; once it ends, it is expired."""
    first = NOW_MS // DAY_MS * DAY_MS - 3 * DAY_MS
    ends = {"code": NOW_MS // 1000 + 60}
    days = [Bucket(first - back * DAY_MS, DAY_MS, {US: {"n": 1}}, {} if back else ends) for back in range(40)]
    store = Kept(days=days)
    conversion = Conversion(store)
    assert (await told(conversion))["total"]["verifications"]["open"] == 1
    store.now_ms_is = NOW_MS + 120_000
    assert (await told(conversion))["total"]["verifications"]["open"] == 0


async def test_few_days_are_not_digested():
    """A short report asks for no digest: it would cost more than it saves."""
    store = Kept(days=long_ago())
    conversion = Conversion(store)
    for _ in range(2):
        await conversion.report(read_question({"since": "14d"}, NOW_MS // HOUR_MS * HOUR_MS))
    assert store.times_read == 2


def test_what_is_remembered_is_bounded():
    """Beyond the most counters, what was asked for longest ago is forgotten; too large a past is not kept at all."""

    def past(counters):
        sums = Sums()
        sums.parts[None] = {str(number): 1 for number in range(counters)}
        return Past(b"same", frozenset(), {("all",): sums}, {})

    remembered = Remembered(most_counters=100)
    remembered.keep("first", past(40))
    remembered.keep("second", past(40))
    assert remembered.find("first", b"same")
    remembered.keep("third", past(40))
    assert [bool(remembered.find(name, b"same")) for name in ("first", "second", "third")] == [True, False, True]
    remembered.keep("large", past(101))
    assert remembered.find("large", b"same") is None
