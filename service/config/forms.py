"""The forms in which a setting is written: spans, lists, limits, proxies, test numbers, and nothing at all.

An operator writes text; each form here says what text means which value, and refuses other text in a sentence. An
empty text is no value for what is optional, an empty list, and a limit that is off. A form may meet a value of its
own type instead, when settings are made from values; it lets that pass.
"""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from service.core.codes import CODE_PATTERN
from service.core.limits import Limits, parse_limits
from service.core.phone import is_canonical

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _parse_span(value: Any) -> Any:
    """Read `10m`, `1h`, `90s` or plain seconds."""
    match = re.fullmatch(r"([0-9]{1,7})([smhd]?)", str(value).strip())
    if match is None:
        raise ValueError("write a span such as 90s, 10m or 1h")
    return int(match[1]) * _UNIT_SECONDS[match[2] or "s"]


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _parse_limits(value: Any) -> Any:
    return parse_limits(value) if isinstance(value, str) else value


def _parse_proxies(value: Any) -> Any:
    """Read a number of proxies; no name, network or `*`, by which a caller could pass for one of them."""
    if re.fullmatch("[0-9]{1,2}", str(value).strip()) is None:
        raise ValueError(
            "write how many proxies append to X-Forwarded-For, such as 1; it takes no address and no *, "
            "which would let every caller choose its own address"
        )
    return int(value)


def _none_if_empty(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def _parse_test_numbers(value: Any) -> Any:
    """Read `number:code,number:code`; what is wrong is said without repeating a number or a code."""
    if not isinstance(value, str):
        return value
    pairs = [tuple(part.strip().split(":")) for part in value.split(",") if part.strip()]
    if any(len(pair) != 2 or not is_canonical(pair[0]) or not re.fullmatch(CODE_PATTERN, pair[1]) for pair in pairs):  # noqa: PLR2004 - a number and a code
        raise ValueError("write numbers in E.164 with codes of 4 to 8 digits, such as +14155550100:493027")
    if len({number for number, _ in pairs}) != len(pairs):
        raise ValueError("it names a number twice; one code per number")
    return tuple(pairs)


Proxies = Annotated[int, BeforeValidator(_parse_proxies)]
Span = Annotated[int, BeforeValidator(_parse_span)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split)]
TestNumbers = Annotated[tuple[tuple[str, str], ...], NoDecode, BeforeValidator(_parse_test_numbers)]
LimitSpec = Annotated[Limits, NoDecode, BeforeValidator(_parse_limits)]
Optional = Annotated[str | None, BeforeValidator(_none_if_empty)]
Count = Annotated[int | None, BeforeValidator(_none_if_empty)]
OptionalSecret = Annotated[SecretStr | None, BeforeValidator(_none_if_empty)]
