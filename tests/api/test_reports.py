"""The endpoints of the reports: who may read them, what they say of real sends, and which parameters they refuse."""

import asyncio
import csv
import io
import threading
from datetime import UTC, datetime

import pytest
from jsonschema import Draft202012Validator
from yarl import URL

from service.core.api_keys import Scope
from service.core.reports import unconverted
from service.core.reports.report import Conversion, Report
from service.store import funnel
from service.store import keys as redis_keys
from tests.conftest import create_key

CONVERSION, UNCONVERTED = "/v1/reports/conversion", "/v1/reports/unconverted"
ISSUE = "/v1/verifications"


async def read(service, path=CONVERSION, **more):
    """Read a report that must succeed."""
    status, body, _ = await service.call("GET", path, **more)
    assert status == 200, body
    return body


async def test_a_report_tells_what_became_of_the_sends(start, eventually):
    """One approved, one not answered, one that Twilio refuses, one that a limit refuses: each is where it belongs."""
    service = await start(otp_limit_country="2/1d")
    used = await service.issue(purpose="payment")
    await service.call("POST", ISSUE, {"to": "+12025550145"})
    await service.verify(used["id"], "000000")
    assert (await service.verify(used["id"], service.codes()[0]))["valid"]
    for headers in (None, {"Idempotency-Key": "k"}):
        assert (await service.call("POST", ISSUE, {"to": "+12025550147"}, headers=headers))[0] == 429
    assert (await service.call("POST", f"{ISSUE}/{used['id']}/resend"))[0] == 409

    async def delivered():
        shown = await read(service, f"{CONVERSION}?group_by=purpose")
        return shown if shown["total"]["delivery"]["delivered"] == 2 else None

    shown = await eventually(delivered, seconds=30)
    total = shown["total"]
    assert total["sends"]["confirmed"] == total["verifications"]["approved"] == 1
    assert total["unconverted"]["open"] == total["verifications"]["open"] == 1
    assert total["blocked"] == {"total": 2, "reasons": [{"reason": "country", "count": 2}]}
    assert total["seconds_to_deliver"]["count"] == 2
    assert total["twilio"]["attempted"] == 2
    rates = {group["key"]["purpose"]: group["conversion_rate"] for group in shown["groups"]}
    assert rates == {"payment": 1, "login": 0}
    for name in ("verifications", "sends"):
        assert total[name].pop("total") == sum(total[name].values()) == 2


async def test_the_log_names_no_number(running):
    """A send that Twilio refuses is in the log with its code, until other filters leave it out; no number is there."""
    fault = {"endpoint": "messages", "kind": "refuse", "code": 21610, "count": 1}
    async with running.http.post(f"{running.sandbox_url}/_/faults", json=fault) as response:
        assert response.status == 201
    _, refused, _ = await running.call("POST", ISSUE, {"to": "+14155550123", "purpose": "payment"})
    [send] = (await read(running, f"{UNCONVERTED}?limit=1&country=US&channel=sms&reason=not_accepted,too_late"))[
        "sends"
    ]
    assert send.pop("at").endswith("Z")
    assert send == {
        "verification_id": refused["verification_id"],
        "send_number": 1,
        "country": "US",
        "channel": "sms",
        "purpose": "payment",
        "action": "code",
        "reason": "not_accepted",
        "error_code": 21610,
    }
    for filters in ("country=DE", "channel=voice", "reason=too_late"):
        assert (await read(running, f"{UNCONVERTED}?{filters}"))["sends"] == []


async def test_a_table_is_served_on_request(running, document):
    """`Accept: text/csv` and `format=csv` get the same figures as a table, which the document has."""
    assert set(document["paths"][CONVERSION]["get"]["responses"]["200"]["content"]) == {"application/json", "text/csv"}
    await running.issue()
    headers = {"Authorization": f"Bearer {running.key}"}
    for more, accept in (("&format=csv", "*/*"), ("", "text/csv")):
        address = f"{CONVERSION}?group_by=country{more}"
        async with running.http.get(address, headers=headers | {"Accept": accept}) as response:
            assert (response.status, response.content_type) == (200, "text/csv")
            [row] = csv.DictReader(io.StringIO(await response.text()))
            assert (row["country"], row["sends_total"]) == ("US", "1")


@pytest.mark.parametrize("form", ["json", "csv"])
async def test_a_report_is_written_beside_the_event_loop(running, monkeypatch, form):
    """A report of hundreds of days takes long to write, so a thread writes it, and no other request waits."""
    write, threads = getattr(Report, form), []

    def written(report):
        threads.append(threading.get_ident())
        return write(report)

    monkeypatch.setattr(Report, form, written)
    address = f"{CONVERSION}?since=400d&group_by=day&format={form}"
    async with running.http.get(address, headers={"Authorization": f"Bearer {running.key}"}) as response:
        assert response.status == 200
    assert len(threads) == 1
    assert threads != [threading.get_ident()]


async def test_a_long_log_is_read_beside_the_event_loop(running, redis, monkeypatch):
    """The log may hold 8,000 sends, which take long to read and to choose from: no other request waits for that."""
    log = redis_keys.funnel_unconverted("0")
    redis.lpush(log, "1795971328022|ve_0|US|sms||login|code|1|3d.w.p")
    redis.expire(log, 60)
    threads = {}
    for owner, name in ((funnel, "_entry"), (unconverted, "_fits")):
        monkeypatch.setattr(owner, name, _noting(threads, name, getattr(owner, name)))
    assert [send["reason"] for send in (await read(running, UNCONVERTED))["sends"]] == ["wrong_codes"]
    assert set(threads) == {"_entry", "_fits"}
    assert threading.get_ident() not in threads.values()


def _noting(threads, name, function):
    def noting(*args):
        threads[name] = threading.get_ident()
        return function(*args)

    return noting


async def test_reports_leave_slots_for_sends(start, monkeypatch, expect):
    """Reports that wait for each other use a quarter of the slots at most, so a key for reports stops no send."""
    service = await start(otp_max_in_flight=8)
    make, gate, waiting = Conversion.report, asyncio.Event(), asyncio.Semaphore(0)

    async def wait_and_make(*given):
        waiting.release()
        await asyncio.wait_for(gate.wait(), 30)
        return await make(*given)

    monkeypatch.setattr(Conversion, "report", wait_and_make)
    reports = [asyncio.create_task(read(service)) for _ in range(2)]
    for _ in reports:
        await asyncio.wait_for(waiting.acquire(), 30)
    for path in (CONVERSION, UNCONVERTED):
        expect(await service.call("GET", path), 503, "overloaded")
    await service.issue()
    gate.set()
    await asyncio.gather(*reports)


async def test_only_keys_for_reports_may_read_them(running):
    """The scope `verifications` does not suffice, nor does the token of a front end; `reports` alone does."""
    only = await create_key(running.settings, Scope.REPORTS, name="reader")
    other = await create_key(running.settings, Scope.VERIFICATIONS, Scope.OPERATE, name="sender")
    issued = await running.issue()
    for path in (CONVERSION, UNCONVERTED):
        assert (await running.call("GET", path, key=only))[0] == 200
        assert (await running.call("GET", path, key=other))[0] == 403
        assert (await running.call("GET", path, key=issued["client_token"]))[0] in (401, 403)
        assert (await running.call("GET", path, key="x"))[0] == 401


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (f"{CONVERSION}?tz=Nowhere", "tz is not valid. Write"),
        (f"{CONVERSION}?since=5", "since is not valid. Write"),
        (f"{CONVERSION}?since=10000d", "since is not valid. Figures are kept for 400 days."),
        (f"{CONVERSION}?country=US&country=DE", "comes twice"),
        (f"{CONVERSION}?country=US,de", "country is not valid. Write two capital letters"),
        (f"{CONVERSION}?country=", "country is not valid. Write"),
        (f"{CONVERSION}?channel=fax", "channel is not valid. Write some of: sms, whatsapp, voice."),
        (f"{CONVERSION}?action=codes", "action is not valid. Write some of"),
        (f"{CONVERSION}?send_number=0", "send_number is not valid. Write numbers"),
        (f"{UNCONVERTED}?country=us", "country is not valid. Write"),
        (f"{UNCONVERTED}?channel=SMS", "channel is not valid. Write"),
        (f"{UNCONVERTED}?reason=late", "reason is not valid. Write some of"),
        (f"{CONVERSION}?%2B14155550123=1", "This parameter is not known."),
        (f"{CONVERSION}?{'&'.join(f'a{number}=1' for number in range(30))}", "cannot be read"),
        (f"{UNCONVERTED}?limit=0", "limit is not valid. Write"),
        (f"{UNCONVERTED}?limit=201", "limit is not valid. Write"),
        (f"{UNCONVERTED}?limit=²", "limit is not valid. Write"),
        (f"{UNCONVERTED}?limit=99999999999", "limit is not valid. Write"),
        (f"{UNCONVERTED}?limit=00019999", "limit is not valid. Write"),
        (f"{UNCONVERTED}?country={'U' * 201}", "country is not valid. Write at most 200"),
        (f"{CONVERSION}?format=xml", "format is not valid. Write"),
        (f"{UNCONVERTED}?colour=1", "A parameter is not known."),
    ],
)
async def test_an_unfit_parameter_is_refused(running, path, said):
    """The problem says in a sentence what to write, and repeats no unknown name."""
    status, problem, _ = await running.call("GET", path)
    assert (status, problem["code"]) == (422, "invalid_request")
    assert said in problem["detail"]
    assert "4155550123" not in problem["detail"]


TODAY = str(datetime.now(UTC).date())
# Values of each parameter at the border of what the document allows.
TRIED = {
    "from": ["", "2026-11-28T13:00", "2026-11-28x13:00:00Z", "20261128T130000Z", "٢٠٢٦-11-28", "x"],
    "to": ["", TODAY, f"{TODAY}T00:00:00.5-01:00", f"{TODAY}T00:00Z", f"{TODAY}T00Z", "0"],
    "since": ["", "1h", "400d", "401d", "9600h", "9601h", "0h", "07d", "1w", "1h "],
    "tz": ["", "UTC", "Etc/GMT+5", "America/Port-au-Prince", "Nowhere Land", "../UTC", "\0"],
    "group_by": ["", "day", "day,country", "day, country", "day,day", "day,", ",", "colour", "day,hour,action"],
    "format": ["json", "csv", "", "CSV", "xml"],
    "limit": [1, 200, 0, 201, "", "x"],
    "country": ["", "US", " US , 001", "US,", "us", "other", "\0"],
    "channel": ["", "sms", "sms,voice", "fax", "SMS"],
    "action": ["", "code", "code, call", "codes"],
    "send_number": ["", "1", "1,99", "0", "100", "²"],
    "reason": ["", "too_late", "open", "late"],
}
NAMES = ["", "login", "login, payment", "\0", "٢" * 200, "x" * 201]  # of the others


@pytest.mark.parametrize("path", [CONVERSION, UNCONVERTED])
async def test_the_document_allows_what_is_accepted(running, document, path):
    """Each value of a parameter is accepted if the document allows it, and refused if it does not."""
    for parameter in document["paths"][path]["get"]["parameters"]:
        for value in TRIED.get(parameter["name"], NAMES):
            allowed = Draft202012Validator(parameter["schema"]).is_valid(value)
            asked = URL(path).with_query({parameter["name"]: value})
            async with running.http.get(
                URL(running.url).join(asked), headers={"Authorization": f"Bearer {running.key}"}
            ) as response:
                assert (response.status == 200) == allowed, (asked, await response.text())


async def test_a_report_without_redis_is_a_503(start, redis):
    """If the counters cannot be read, there is no report: it would lack sends."""
    service = await start()
    redis.hset(redis_keys.funnel_open("7"), "not", "a set")
    status, problem, _ = await service.call("GET", CONVERSION)
    redis.delete(redis_keys.funnel_open("7"))
    assert (status, problem["code"]) == (503, "store_unavailable")
