"""`otp-service report`: shows what became of the sends, as a table with bars, as JSON or as CSV."""

import asyncio
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from service.app import open_redis
from service.cli.console import refuse
from service.cli.listing import AsJson, Cells, json_text, table_lines
from service.config.settings import load_settings
from service.core.reports.question import FILTERS, Grouping, QuestionUnfit, read_question
from service.core.reports.report import Report
from service.reporting import new_conversion

_BAR_WIDTH = 20
_EIGHTHS = "▏▎▍▌▋▊▉█"
_GROUPINGS = ", ".join(Grouping)


def report(
    *,
    since: Annotated[str, typer.Option(metavar="SPAN", help="So long until now, such as 24h or 30d.")] = "24h",
    group_by: Annotated[str, typer.Option(metavar="NAMES", help=f"At most two of {_GROUPINGS}.")] = "country",
    tz: Annotated[str, typer.Option(metavar="ZONE", help="The time zone of hours and days.")] = "UTC",
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUES", help="Only these, such as country=US,DE.")
    ] = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a table for spreadsheets.")] = False,
) -> None:
    """Show what became of every send: how many were delivered, how many confirmed, and why the others were not.

    Example: otp-service report --since 7d --group-by country --only channel=sms
    """
    if as_json and as_csv:
        refuse("--json and --csv exclude each other")
    given = {"since": since, "group_by": group_by, "tz": tz, **_filters(only or [])}
    shown = asyncio.run(_read(given))
    if as_json:
        typer.echo(json_text(shown.json()))
    elif as_csv:
        typer.echo(shown.csv(), nl=False)
    else:
        typer.echo("\n".join(_lines(shown.json())))


async def _read(given: Mapping[str, str]) -> Report:
    settings = load_settings()
    async with open_redis(settings) as scripts:
        conversion = new_conversion(settings, scripts)
        try:
            return await conversion.report(read_question(given, await conversion.now_ms()))
        except QuestionUnfit as unfit:
            option = "only " if unfit.parameter in set(FILTERS) else ""
            refuse(f"--{option}{unfit.parameter.replace('_', '-')}: {unfit}")


def _filters(only: list[str]) -> dict[str, str]:
    filters: dict[str, str] = {}
    for each in only:
        name, sign, values = each.partition("=")
        if not sign or name not in set(FILTERS):
            refuse(f"--only: write NAME=VALUES, with a name of {', '.join(FILTERS)}")
        if name in filters:
            refuse(f"--only: write the values of {name} with commas, such as {name}={filters[name]},{values}")
        filters[name] = values
    return filters


def _lines(shown: Mapping[str, Any]) -> list[str]:
    total = shown["total"]
    rows = [_cells(group, " ".join(group["key"].values())) for group in shown["groups"]]
    lines = table_lines([*rows, _cells(total, "total")])
    reasons = {name: count for name, count in total["unconverted"].items() if count}
    return [
        f"{shown['from']} to {shown['to']}",
        "",
        *lines,
        "",
        f"Not converted: {_listed(reasons)}",
        f"Errors: {_listed({str(each['code'] or 'no code'): each['count'] for each in total['errors']})}",
        f"Refused by us: {_listed({each['reason']: each['count'] for each in total['blocked']['reasons']})}",
    ]


def _cells(figures: Mapping[str, Any], name: str) -> Cells:
    """Fit 80 columns, unless a key is long."""
    return {
        "GROUP": name or "unknown",
        "SENDS": str(figures["sends"]["total"]),
        "DELIVERED": _percent(figures["delivery_rate"]),
        "SECONDS": _text(figures["seconds_to_convert"]["p50"]),
        "CONVERTED": _percent(figures["conversion_rate"]),
        "": _bar(figures["conversion_rate"] or 0),
    }


def _bar(share: float) -> str:
    """Draw a share; by plain characters where the terminal has no others."""
    eighths = round(share * _BAR_WIDTH * 8)
    if (sys.stdout.encoding or "").lower().replace("-", "") != "utf8":
        return "#" * round(eighths / 8)
    return _EIGHTHS[-1] * (eighths // 8) + (_EIGHTHS[eighths % 8 - 1] if eighths % 8 else "")


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.1%}"


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items()) or "none"
