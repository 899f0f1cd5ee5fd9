"""How commands print lists: for people a table with a header, or a sentence if it is empty; with `--json` an array.

The array has one object on each line, so that a long list can be read line by line too. `docs/operations.md` describes
the objects: fields may be added, none is renamed or removed.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

import typer
from pydantic_core import to_json

Row = TypeVar("Row")
Cells = Mapping[str, str]  # the texts of one row by their headings
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


async def show_list(
    rows: AsyncIterator[Row],
    *,
    as_json: bool,
    fields: Callable[[Row], Mapping[str, Any]],
    cells: Callable[[Row], Cells],
    empty: str,
) -> None:
    """Print rows as they come with `--json`, else a table, or the sentence `empty`."""
    if as_json:
        await _show_array(rows, fields)
        return
    table = [cells(row) async for row in rows]
    typer.echo("\n".join(table_lines(table)) if table else empty)


async def _show_array(rows: AsyncIterator[Row], fields: Callable[[Row], Mapping[str, Any]]) -> None:
    separator = "[\n"
    async for row in rows:
        typer.echo(separator + json_text(fields(row)), nl=False)
        separator = ",\n"
    typer.echo("[]" if separator == "[\n" else "\n]")


def table_lines(rows: Sequence[Cells]) -> list[str]:
    """Align the rows under their headings. The last column may be of any length."""
    headings = list(rows[0])
    lines = [headings, *([row[heading] for heading in headings] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    return ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def json_text(value: object) -> str:
    """Write a value as JSON on one line."""
    return to_json(value).decode()


def count_of(count: int, what: str) -> str:
    """Write a number of things: `1 send`, `2 sends`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def span(ms: int, *, units: int = 2) -> str:
    """Write a duration in its largest units."""
    seconds = max(0, ms) // 1000
    parts: list[tuple[int, str]] = []
    for unit, length in _UNITS:
        value, seconds = divmod(seconds, length)
        if value or parts:
            parts.append((value, unit))
    return " ".join(f"{value} {unit}" for value, unit in parts[:units] if value) or "0 s"
