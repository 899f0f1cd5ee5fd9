"""The conversion report: what is asked, how counters become figures, and what a rate of nothing is."""

import asyncio
import cProfile
import csv
import io
import pstats
import zoneinfo
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from service.core.prices import Prices
from service.core.reports.counters import DAY_MS, FRESH, HOUR_MS, Bucket, Labels, read_labels, read_state, states
from service.core.reports.figures import Figures
from service.core.reports.question import Grouping, QuestionUnfit, _zone_names, read_question
from service.core.reports.report import Conversion
from service.core.reports.slots import quantile
from service.core.reports.sums import Sums
from service.core.reports.unconverted import Unconverted, UnconvertedSend
from service.core.store_health import StoreUnavailable

COUNTRIES = [f"{letter}{other}" for letter in "ABCDEF" for other in "ABCDE"]
NOW_MS = 1_795_873_380_000  # 2026-11-28T13:43:00Z
SENT = Labels("US", "sms", "", "login", "code", 1)
US, DE = "US|sms|+15005550006|login|code|1", "DE|whatsapp||payment|code|2"


class Kept:
    """A store that holds what the test gives it."""

    def __init__(self, *buckets, days=()):
        self._hours, self._days = buckets, days
        self.times_read = 0
        self.now_ms_is = NOW_MS

    async def now_ms(self):
        return self.now_ms_is

    async def hours(self, starts_ms):
        asked = set(starts_ms)
        for bucket in self._hours:
            if bucket.start_ms in asked:
                yield bucket

    async def digest(self, starts_ms):
        return repr([day for day in self._days if day.start_ms in starts_ms]).encode()

    async def days(self, starts_ms):
        self.times_read += 1
        asked = set(starts_ms)
        for bucket in self._days:
            if bucket.start_ms in asked:
                yield bucket


def hour(back, rows, ends=None):
    """Return the bucket of an hour so many hours ago."""
    return Bucket(NOW_MS // HOUR_MS * HOUR_MS - back * HOUR_MS, HOUR_MS, rows, ends or {})


async def report(*buckets, days=(), prices=None, **given):
    """Return the JSON of a report."""
    conversion = Conversion(Kept(*buckets, days=days), prices)
    return (await conversion.report(read_question(given, NOW_MS))).json()


@pytest.mark.parametrize(
    ("state", "is_open", "reason"),
    [
        ("3d.c8.a", False, None),
        ("3u30003.c8.a", False, None),
        ("3d.l.p", True, "too_late"),
        ("3u30003.l.p", False, "too_late"),
        ("3x21610.-.f", False, "not_accepted"),
        ("3u30003.w.a", False, "not_delivered"),
        ("3f.-.p", True, "not_delivered"),
        ("3d.-.a", False, "another_send"),
        ("3d.w.a", False, "another_send"),
        ("3d.w.p", True, "open"),
        ("3d.w.p", False, "wrong_codes"),
        ("3d.w.m", True, "wrong_codes"),
        ("0u.-.p", False, "not_accepted"),
        ("2s.-.p", False, "no_report"),
        ("3d.-.p", False, "nothing_typed"),
        ("4r.-.c", True, "nothing_typed"),
    ],
)
def test_every_send_has_one_reason(state, is_open, reason):
    """A send that converted has no reason, any other exactly one: the first that holds."""
    assert read_state(state).reason(is_open=is_open) == reason


@pytest.mark.parametrize("text", ["", "3d.c8", "3d.c.a", "n", "3d.-.a.b"])
def test_no_other_text_is_a_state(text):
    """What the scripts do not write is refused."""
    with pytest.raises(ValueError, match="no state"):
        read_state(text)


def test_fresh_sends_are_what_the_states_leave():
    """The states of a combination add up to its sends, whatever else is counted there."""
    counters = {"n": 10, "3d.-.p": 3, "1q.-.p": 2, "bnumber": 7, "t3": 3, "3d.c1.a": 0}
    assert sum(count for _, count in states(counters)) == 10
    assert dict(states(counters))[FRESH] == 5


def test_figures_add_up():
    """Each list of states adds up to its total, and Twilio's figures follow Twilio's definitions."""
    sums = Sums()
    counters = {"n": 20, "3d.c8.a": 6, "3d.l.p": 1, "3u30003.-.p": 2, "3x21610.-.f": 1, "2s.w.m": 3, "1q.-.c": 1}
    sums.add(read_labels(US), {**counters, "bnumber": 2, "t2": 7}, is_open=False)
    sums.add(read_labels(DE), {"n": 4, "3d.c9.a": 4}, is_open=False)
    shown = Figures(sums).shown()
    for name in ("verifications", "sends"):
        assert shown[name].pop("total") == sum(shown[name].values())
    assert sum(shown["delivery"].values()) == 24
    assert sum(shown["unconverted"].values()) == 24 - shown["sends"]["confirmed"]
    assert shown["verifications"] == {"open": 0, "approved": 6, "locked": 3, "canceled": 1, "expired": 9, "failed": 1}
    assert shown["sends"]["unknown"] == 6
    assert (shown["success_rate"], shown["conversion_rate"], shown["sends_per_approval"]) == (0.3, 0.4167, 4.0)
    assert shown["errors"] == [{"code": 30003, "count": 2}, {"code": 21610, "count": 1}]
    assert shown["blocked"] == {"total": 2, "reasons": [{"reason": "number", "count": 2}]}
    assert shown["twilio"] == {
        "attempted": 17, "status_ok": 15, "errors": 2, "conversions": 11, "conversion_rate": 0.6471, "countries": 2,
    }  # fmt: skip
    assert shown["seconds_to_convert"]["count"] == 10
    assert shown["cost"] is None


def test_rates_of_nothing_are_null():
    """Without sends no rate is 0: it is not known."""
    shown = Figures(Sums()).shown(Prices("USD", {}))
    rates = ("success_rate", "conversion_rate", "delivery_rate", "sends_per_approval")
    assert [shown[name] for name in rates] == [None] * 4
    assert shown["twilio"]["conversion_rate"] is None
    assert shown["seconds_to_convert"] == {"count": 0, "p50": None, "p90": None, "p99": None}
    assert shown["cost"] == {
        "currency": "USD", "total": "0.0000", "per_status_ok": None, "per_confirmed": None, "per_approval": None,
    }  # fmt: skip


def test_what_messages_cost():
    """Only what the provider accepted costs something; the total is shared out by what came of it."""
    sums = Sums()
    sums.add(read_labels(US), {"n": 4, "3d.c8.a": 1, "2s.-.p": 1, "3x21610.-.f": 1}, is_open=False)
    cost = Figures(sums).shown(Prices("USD", {("US", "sms"): 7_900}))["cost"]
    assert cost == {
        "currency": "USD", "total": "0.0158", "per_status_ok": "0.0079", "per_confirmed": "0.0158",
        "per_approval": "0.0158",
    }  # fmt: skip


def test_quantiles_lie_within_their_slots():
    """A quantile is at most a slot away from the true one: a factor of 1.42."""
    times = [1.5 + index / 7 for index in range(500)]
    slots = {}
    for seconds in times:
        slot = next(slot for slot in range(50) if 2 ** (slot / 2) >= seconds)
        slots[slot] = slots.get(slot, 0) + 1
    for share in (0.5, 0.9, 0.99):
        true = times[int(share * len(times)) - 1]
        assert true / 1.42 < quantile(slots, share) < true * 1.42
    assert quantile({0: 3}, 0.5) == 0.5
    assert quantile({}, 0.5) is None


async def test_sends_are_open_until_their_last_code_ends():
    """What nobody answered is open, and expired once the last code of its hour and action has ended."""
    password = US.replace("|code|", "|password|")
    rows = {US: {"n": 2}, password: {"n": 3}, "other|other|other|other|other|1": {"n": 4}}
    ends = {"code": NOW_MS // 1000 - 1, "password": NOW_MS // 1000 + 1}
    shown = (await report(hour(0, rows, ends)))["total"]
    assert (shown["verifications"]["open"], shown["verifications"]["expired"]) == (7, 2)
    assert (shown["unconverted"]["open"], shown["unconverted"]["not_accepted"]) == (7, 2)


async def test_groups_and_filters():
    """Groups have the filtered sends under their labels, the most first; with a time, in its order."""
    buckets = [hour(30, {US: {"n": 1}}), hour(2, {US: {"n": 1}, DE: {"n": 5}}), hour(0, {US: {"n": 2}})]
    shown = await report(*buckets, group_by="country,purpose")
    keys = [(group["key"], group["sends"]["total"]) for group in shown["groups"]]
    assert keys == [({"country": "DE", "purpose": "payment"}, 5), ({"country": "US", "purpose": "login"}, 3)]
    shown = await report(*buckets, since="7d", group_by="hour,country", country="US,FR", send_number="1")
    hours = [group["key"]["hour"][5:13] for group in shown["groups"]]
    assert hours == ["11-27T07", "11-28T11", "11-28T13"]
    assert shown["total"]["sends"]["total"] == 4
    assert shown["filters"] == {"country": ["FR", "US"], "send_number": ["1"]}
    assert (await report(*buckets, channel="voice", group_by="country"))["groups"] == []


@pytest.mark.parametrize("written", ["+15005550006", " 15005550006", "15005550006", "12345, whatsapp: 15005550006"])
def test_a_plus_sign_that_was_not_escaped_is_read(written):
    """In an address a bare plus sign is a blank; a number without it is a sender all the same, and a short code too."""
    asked = read_question({"sender": written}, NOW_MS)
    assert [asked.admits(SENT._replace(sender=sender)) for sender in ("+15005550006", "whatsapp:+15005550006")] == [
        "whatsapp" not in written,
        "whatsapp" in written,
    ]
    assert asked.admits(SENT._replace(sender="12345")) is ("12345" in written)


async def test_hours_and_days_without_sends_are_listed():
    """A report by hour or day alone has every hour or day of its span, in its time zone."""
    shown = await report(hour(5, {US: {"n": 1}}), group_by="hour", tz="Asia/Kolkata", since="6h")
    assert [group["sends"]["total"] for group in shown["groups"]] == [0, 1, 0, 0, 0, 0, 0]
    assert shown["groups"][1]["key"] == {"hour": "2026-11-28T13:30:00+05:30"}
    shown = await report(**{"group_by": "day", "tz": "Europe/Berlin", "from": "2026-10-24", "to": "2026-10-27"})
    assert [group["key"]["day"] for group in shown["groups"]] == ["2026-10-24", "2026-10-25", "2026-10-26"]
    assert (shown["from"], shown["to"]) == ("2026-10-23T22:00:00.000Z", "2026-10-26T23:00:00.000Z")


@pytest.mark.parametrize(("tz", "day"), [("Europe/Berlin", "2026-10-25"), ("America/New_York", "2026-11-01")])
@pytest.mark.parametrize("group_by", ["hour", "hour,country", "day,hour"])
async def test_hours_keep_their_order_when_clocks_go_back(tz, day, group_by):
    """Of two hours of the same name the earlier comes first, east and west of Greenwich; the day stays a day."""
    begin_ms = int(datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(tz)).timestamp() * 1000)
    counted = [Bucket(begin_ms + number * HOUR_MS, HOUR_MS, {US: {"n": 1}}, {}) for number in range(25)]
    shown = await report(*counted, tz=tz, group_by=group_by, **{"from": day, "to": f"{day[:-1]}{int(day[-1]) + 1}"})
    begun = [datetime.fromisoformat(group["key"]["hour"]).timestamp() * 1000 for group in shown["groups"]]
    assert begun == [bucket.start_ms for bucket in counted]
    assert {group["key"].get("day", day) for group in shown["groups"]} == {day}


async def test_rolled_up_days_are_read_as_such():
    """Whole days come from their days alone, as does everything older than 35 days."""
    today = NOW_MS // DAY_MS * DAY_MS
    days = [Bucket(today - back * DAY_MS, DAY_MS, {US: {"n": 24}}, {}) for back in (5, 40)]
    hours = [hour(5 * 24, {US: {"n": 7}}), hour(24, {US: {"n": 3}}), hour(40 * 24, {US: {"n": 9}})]

    async def sends(**given):
        return (await report(*hours, days=days, **given))["total"]["sends"]["total"]

    assert await sends(since="7d") == 27
    assert await sends(since="7d", group_by="hour") == 10
    assert await sends(since="7d", group_by="day", tz="Asia/Kolkata") == 10
    assert await sends(since="60d") == 51
    with pytest.raises(QuestionUnfit, match="35 days"):
        await sends(since="36d", group_by="hour")
    assert await sends(since="35d", group_by="hour") == 10


@pytest.mark.parametrize("tz", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
async def test_old_days_are_those_that_were_asked_for(tz):
    """Of days older than 35 days a report has each once, under the local day in which it begins, and no other."""
    today = NOW_MS // DAY_MS * DAY_MS
    days = [Bucket(today - back * DAY_MS, DAY_MS, {US: {"n": 1}}, {}) for back in range(37, 50)]
    shown = await report(days=days, **{"group_by": "day", "tz": tz, "from": "2026-10-16", "to": "2026-10-18"})
    found = {group["key"]["day"]: group["sends"]["total"] for group in shown["groups"] if group["sends"]["total"]}
    assert found == {"2026-10-16": 1, "2026-10-17": 1}


async def test_a_table_has_a_line_for_each_group():
    """CSV has the groups with all figures but lists, and no cell that a spreadsheet takes for a formula."""
    evil = US.replace("+15005550006", "=1+1")
    conversion = Conversion(Kept(hour(0, {US: {"n": 3}, evil: {"n": 1}})))
    text = (await conversion.report(read_question({"group_by": "sender"}, NOW_MS))).csv()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["sender"], row["sends_total"]) for row in rows] == [("+15005550006", "3"), ("'=1+1", "1")]
    assert rows[0]["twilio_attempted"] == "0"
    assert rows[0]["twilio_conversion_rate"] == ""
    [row] = csv.DictReader(io.StringIO((await conversion.report(read_question({}, NOW_MS))).csv()))
    assert row["sends_total"] == "4"


def test_the_span_is_widened_to_hours():
    """A report covers whole hours: that of its beginning, and that of its end."""
    question = read_question({"from": "2026-11-28T11:30:00 01:00", "to": "2026-11-28T12:10:00Z"}, NOW_MS)
    assert (question.from_ms % HOUR_MS, question.to_ms - question.from_ms) == (0, 3 * HOUR_MS)
    assert read_question({}, NOW_MS).to_ms == (NOW_MS // HOUR_MS + 1) * HOUR_MS
    assert read_question({"to": "2027-01-01", "since": "60d"}, NOW_MS).to_ms <= NOW_MS + 2 * HOUR_MS
    midnight = datetime(2026, 11, 27, tzinfo=ZoneInfo("America/New_York")).timestamp() * 1000
    assert read_question({"from": "2026-11-27", "tz": "America/New_York"}, NOW_MS).from_ms == midnight


@pytest.mark.parametrize(
    ("given", "parameter"),
    [
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-11-28T13:00:00"}, "from"),
        ({"from": "0001-01-01T00:00:00Z"}, "from"),
        ({"from": "2026-02-30"}, "from"),
        ({"to": "9999-12-31"}, "to"),
        ({"from": "2026-11-28", "to": "2026-11-28"}, "from"),
        ({"from": "2027-01-01", "to": "2027-01-02"}, "from"),
        ({"to": "2027-01-01"}, "to"),
        ({"from": "2026-11-28", "since": "7d"}, "since"),
        ({"since": "7w"}, "since"),
        ({"since": "0h"}, "since"),
        ({"since": "401d"}, "since"),
        ({"from": "2024-01-01"}, "from"),
        ({"tz": "Nowhere"}, "tz"),
        ({"tz": "../../etc/passwd"}, "tz"),
        *[({"tz": name}, "tz") for name in ("localtime", "posixrules", "posix/Europe/Berlin", "right/UTC", "Factory")],
        *[({"tz": name}, "tz") for name in ("europe/berlin", "utc", "/usr/share/zoneinfo/UTC", "Europe", "\0")],
        ({"group_by": "number"}, "group_by"),
        ({"group_by": "hour,hour"}, "group_by"),
        ({"group_by": "hour,country,channel"}, "group_by"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_an_unfit_question_is_refused_in_a_sentence(given, parameter):
    """What cannot be answered names its parameter."""
    with pytest.raises(QuestionUnfit) as unfit:
        read_question(given, NOW_MS)
    assert unfit.value.parameter == parameter
    assert str(unfit.value).endswith(".")


@pytest.mark.parametrize("name", ["Europe/Berlin", "Asia/Calcutta", "Etc/GMT+5", "EST5EDT", "Zulu", "UTC"])
def test_every_name_that_iana_lists_is_a_time_zone(name):
    """A zone may go by each of its names, also by an older one, which browsers still use."""
    assert read_question({"tz": name}, NOW_MS).tz.utcoffset(datetime(2026, 11, 28)) is not None  # noqa: DTZ001


def test_time_zones_are_known_where_the_system_has_none():
    """Slim images have no zones, and new distributions not the older names, which browsers still use."""
    zoneinfo.reset_tzpath(to=[])
    zoneinfo.ZoneInfo.clear_cache()
    _zone_names.cache_clear()
    try:
        for name in ("Asia/Calcutta", "Europe/Berlin"):
            assert read_question({"tz": name}, NOW_MS).tz.utcoffset(datetime(2026, 11, 28)) is not None  # noqa: DTZ001
    finally:
        zoneinfo.reset_tzpath()
        _zone_names.cache_clear()


def test_labels_are_read_as_written():
    """Labels keep their order; an unknown sender is empty."""
    assert read_labels(DE) == Labels("DE", "whatsapp", "", "payment", "code", 2)
    assert {str(grouping) for grouping in Grouping} - {"hour", "day"} == set(Labels._fields)


def long_ago():
    """Return 200 days, each with 60 combinations of labels and 20 counters each."""
    labels = [
        f"{country}|sms|+15005550006|{purpose}|code|1" for country in COUNTRIES for purpose in ("login", "signup")
    ]
    rows = {each: {"n": 100, **{f"3d.c{slot}.a": 5 for slot in range(19)}} for each in labels}
    today = NOW_MS // DAY_MS * DAY_MS
    return [Bucket(today - back * DAY_MS, DAY_MS, rows, {}) for back in range(3, 203)]


async def test_a_long_report_costs_about_a_call_for_each_counter():
    """Counters are added up before their states are read, so a year costs little more than to look at them."""
    days, profile = long_ago(), cProfile.Profile()
    conversion = Conversion(Kept(days=days))
    counters = sum(len(row) for day in days for row in day.rows.values())
    profile.enable()
    found = await conversion.report(read_question({"since": "300d", "group_by": "country"}, NOW_MS))
    profile.disable()
    assert found.total.sends_total == 200 * 60 * 100
    assert pstats.Stats(profile).total_calls < 2 * counters == 480_000


@pytest.mark.parametrize("pauses", [True, False])
async def test_a_long_report_takes_turns(monkeypatch, pauses):
    """While a report is made, everything else in the event loop has its turns; without pauses it would have none."""
    if not pauses:
        monkeypatch.setattr("service.core.turns._TURN_SECONDS", 3600)
    turns, is_made = 0, asyncio.Event()

    async def others():
        nonlocal turns
        while not is_made.is_set():
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(others())
    await asyncio.sleep(0)
    await Conversion(Kept(days=long_ago())).report(read_question({"since": "300d", "group_by": "day"}, NOW_MS))
    seen = turns
    is_made.set()
    await other
    assert (seen > 5) is pauses


async def test_while_redis_is_away_no_report_waits_for_another():
    """Reports that cannot read the clock fail at the same time."""
    asking, barrier = 0, asyncio.Event()

    class Away(Kept):
        async def now_ms(self):
            nonlocal asking
            asking += 1
            if asking == 5:
                barrier.set()
            await asyncio.wait_for(barrier.wait(), 30)
            raise StoreUnavailable("away")

    conversion = Conversion(Away())
    made = await asyncio.gather(
        *(conversion.report(read_question({}, NOW_MS)) for _ in range(5)), return_exceptions=True
    )
    assert [type(each) for each in made] == [StoreUnavailable] * 5


async def test_reports_are_made_one_after_the_other():
    """Of many reports at once each would take a turn between those of others; so one begins when the last has ended."""

    class Counted(Kept):
        begun = most = 0

        async def hours(self, starts_ms):
            self.begun += 1
            self.most = max(self.most, self.begun)
            await asyncio.sleep(0)
            async for bucket in super().hours(starts_ms):
                yield bucket
            self.begun -= 1

    store = Counted(hour(0, {US: {"n": 1}}))
    conversion = Conversion(store)
    made = await asyncio.gather(*(conversion.report(read_question({}, NOW_MS)) for _ in range(5)))
    assert [each.total.sends_total for each in made] == [1] * 5
    assert store.most == 1


async def test_the_log_is_read_by_one_after_the_other():
    """Of many lists at once, one reads and chooses at a time: together they would keep every check waiting."""

    class Log(Kept):
        begun = most = 0

        async def entries(self):
            self.begun += 1
            self.most = max(self.most, self.begun)
            await asyncio.sleep(0)
            self.begun -= 1
            return [UnconvertedSend("ve_0", NOW_MS, SENT, read_state("3d.w.p"))]

    log = Log()
    unconverted = Unconverted(log)
    listed = await asyncio.gather(*(unconverted.newest(9) for _ in range(5)))
    assert [len(sends) for sends in listed] == [1] * 5
    assert log.most == 1


async def test_a_report_of_too_many_groups_is_refused(monkeypatch):
    """Whoever makes up purposes cannot make a report so large that the process has no memory or time for others."""
    monkeypatch.setattr("service.core.reports.groups.MOST_GROUPS", 3)
    rows = {f"US|sms||p{number}|code|1": {"n": 1} for number in range(3)}
    assert len((await report(hour(1, rows), hour(0, rows), group_by="purpose"))["groups"]) == 3
    more = hour(0, {f"US|sms||q{number}|code|1": {"n": 1} for number in range(3)})
    with pytest.raises(QuestionUnfit, match="more than 3 groups"):
        await report(hour(1, rows), more, group_by="purpose")
    assert (await report(hour(1, rows), more, group_by="country"))["total"]["sends"]["total"] == 6
