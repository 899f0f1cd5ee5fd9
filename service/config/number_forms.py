"""Parses the settings about phone numbers."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

from service.core.actions import code
from service.core.numbering import check_prefix
from service.core.phone import InvalidNumber, LineType, canonical_number


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _parse_test_numbers(value: Any) -> Any:
    """Read `number:code,number:code`. Errors repeat neither a number nor a code."""
    if not isinstance(value, str):
        return value
    pairs = [part.split(":") for part in _parts(value)]
    try:
        fixed = [(canonical_number(number), digits) for number, digits in pairs if re.fullmatch(code.PATTERN, digits)]
    except (InvalidNumber, ValueError):  # ValueError: not a pair
        fixed = []
    if len(fixed) != len(pairs):
        raise ValueError("write numbers in E.164 with codes of 4 to 8 digits, such as +14155550100:493027")
    if len({number for number, _ in fixed}) != len(fixed):
        raise ValueError("it contains a number twice; give each number one code")
    return tuple(fixed)


def _parse_line_types(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    line_types = _parts(value.lower()) or list(LineType)
    if not set(line_types) <= set(LineType):
        raise ValueError(f"choose from {','.join(LineType)}")
    return tuple(map(LineType, line_types))


def _parse_extra_prefixes(value: Any) -> Any:
    """Read `+1621:US,+1622:US`. Spaces are removed."""
    if not isinstance(value, str):
        return value
    pairs = [tuple(part.split(":")) for part in _parts("".join(value.split()))]
    if any(len(pair) != 2 for pair in pairs):  # noqa: PLR2004 - prefix and region
        raise ValueError("write prefixes with their regions, such as +1621:US")
    for prefix, region in pairs:
        check_prefix(prefix, region)
    prefixes = [prefix for prefix, _ in pairs]
    twice = next((prefix for prefix in prefixes if prefixes.count(prefix) > 1), None)
    if twice is not None:
        raise ValueError(f"it contains {twice} twice; give each prefix one region")
    return tuple(pairs)


TestNumbers = Annotated[tuple[tuple[str, str], ...], NoDecode, BeforeValidator(_parse_test_numbers)]
LineTypes = Annotated[tuple[LineType, ...], NoDecode, BeforeValidator(_parse_line_types)]
ExtraPrefixes = Annotated[tuple[tuple[str, str], ...], NoDecode, BeforeValidator(_parse_extra_prefixes)]
