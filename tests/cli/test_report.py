"""`otp-service report`: the same figures as the endpoint, as a table with bars, as JSON and as CSV."""

import asyncio
import csv
import io
import json

import pytest

from service.core.reports.counters import HOUR_MS
from service.redis_client import open_redis_client
from service.store.funnel import redis_now_ms
from service.store.funnel_upkeep import RedisFunnelUpkeep
from service.store.scripts import Scripts

US, DE = "US|sms|+15005550006|login|code|1", "DE|sms||login|code|1"


@pytest.fixture
def filled(valkey, store):
    """Fill the hour before this one with sends."""

    async def fill():
        client = await open_redis_client(valkey, client_name="tests")
        funnel = RedisFunnelUpkeep(Scripts(client))
        last_hour = (await redis_now_ms(Scripts(client))) // HOUR_MS - 1
        rows = {US: {"n": 8, "3d.c8.a": 6, "3u30003.-.p": 2, "bnumber": 1}, DE: {"n": 2, "1q.-.p": 2}}
        await funnel.fill(f"h{last_hour}", rows, {"code": 1})
        await client.close()

    asyncio.run(fill())


def test_the_table_has_bars(filled, cli):
    """Each group has a line with its rates and a bar; below are the reasons, the errors and what we refused."""
    status, out, _ = cli("report", "--group-by", "country")
    shown = out.splitlines()
    assert (status, " to " in shown[0]) == (0, True)
    [us, de, total] = [line for line in shown if line.startswith(("US", "DE", "total"))]
    assert us.split() == ["US", "8", "75.0%", "13.7", "75.0%", "█" * 15]
    assert de.split() == ["DE", "2", "0.0%", "-", "0.0%"]
    assert total.split()[1] == "10"
    assert shown[-3:] == ["Not converted: not delivered 2, no report 2", "Errors: 30003 2", "Refused by us: number 1"]


def test_programs_get_json_and_csv(filled, cli):
    """`--json` prints what the endpoint responds, `--csv` its table; `--only` filters."""
    _, out, _ = cli("report", "--json", "--only", "country=DE")
    assert [group["key"]["country"] for group in json.loads(out)["groups"]] == ["DE"]
    _, out, _ = cli("report", "--csv", "--only", "country=US", "--since", "2d")
    [row] = csv.DictReader(io.StringIO(out))
    assert (row["country"], row["sends_total"], row["conversion_rate"]) == ("US", "8", "0.75")


def test_an_empty_report_has_a_total(store, cli):
    """Without sends there is a table with a total, and no rate."""
    _, out, _ = cli("report", "--group-by", "")
    assert [line.split() for line in out.splitlines() if line.startswith("total")] == [["total", "0", "-", "-", "-"]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "soon"], "--since: Write"),
        (["--tz", "Nowhere"], "--tz: Write"),
        (["--group-by", "number"], "--group-by: Group"),
        (["--only", "number=1"], "--only: write NAME=VALUES"),
        (["--only", "channel=fax"], "--only channel: Write"),
        (["--only", "country=US", "--only", "country=DE"], "--only: write the values of country with commas"),
        (["--json", "--csv"], "exclude each other"),
    ],
)
def test_an_unfit_option_is_refused(store, cli, arguments, said):
    """An option that means nothing is refused in a sentence, with status 2."""
    status, _, err = cli("report", *arguments)
    assert status == 2
    assert said in err
