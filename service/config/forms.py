"""Parses the values of settings: durations, lists, limits, switches, secrets and SIDs.

Invalid text is refused with a sentence that does not repeat it. Empty text means no value for an optional setting, an
empty list, or no limit. Values that already have the right type are not changed.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, InstanceOf, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import NoDecode

from service.config.text_files import read_text_file
from service.config.web_addresses import read_base_url, read_link_url, read_origin, read_public_url, read_return_url
from service.core.limits import Limits, parse_limits
from service.core.own_texts import OwnTexts
from service.core.phone import REGIONS
from service.core.texts import LOCALES
from service.core.texts.negotiation import negotiated

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SWITCH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
_LEAST_SECRET_CHARACTERS = 32
_LEAST_DISTINCT_CHARACTERS = 8
# Long words only, so that no random key contains one by chance.
_PLACEHOLDER = re.compile(r"change|example|placeholder|secret|your[-_ ]|<|>", re.IGNORECASE)
# A number, a short code, or a name with at least one letter, in the characters that Twilio allows.
_SENDER = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 +\-_&]{1,11}")
# What people often write instead of the code of a region.
_LIKELY = {
    "UK": "GB", "EN": "GB", "GBR": "GB", "USA": "US", "EL": "GR", "GRC": "GR", "DEU": "DE", "GER": "DE", "AUT": "AT",
    "CHE": "CH", "SUI": "CH", "FRA": "FR", "ESP": "ES", "ITA": "IT", "NLD": "NL", "NED": "NL", "BEL": "BE", "IRL": "IE",
    "AUS": "AU", "NZL": "NZ", "CAN": "CA", "PRT": "PT", "POR": "PT", "POL": "PL", "SWE": "SE", "NOR": "NO", "DNK": "DK",
    "DEN": "DK", "FIN": "FI", "MEX": "MX", "BRA": "BR", "IND": "IN", "JPN": "JP", "JAP": "JP", "JA": "JP", "CHN": "CN",
    "UAE": "AE", "KSA": "SA", "RSA": "ZA", "ZAF": "ZA", "UKR": "UA", "TUR": "TR", "ISR": "IL", "SGP": "SG", "HKG": "HK",
    "KOR": "KR", "PRI": "PR", "SU": "RU", "YU": "RS", "AN": "CW", "ZR": "CD", "TP": "TL", "BU": "MM",
}  # fmt: skip
NEW_SECRET = "Make one with: openssl rand -base64 32"  # noqa: S105 - an instruction, not a secret


def bare(value: Any) -> Any:
    """Strip white space, and the byte order mark that some editors add."""
    return value.strip().removeprefix("\ufeff").strip() if isinstance(value, str) else value


def is_sid(kind: str, text: str) -> bool:
    """Return whether the text has the form of a Twilio SID of this kind."""
    return re.fullmatch(f"{kind}[0-9a-fA-F]{{32}}", text) is not None


def _parse_span(value: Any) -> Any:
    """Read `10m`, `1h`, `90s` or plain seconds."""
    match = re.fullmatch(r"([0-9]{1,7})([smhd]?)", str(value).strip())
    if match is None:
        raise ValueError("write a duration such as 90s, 10m or 1h")
    return int(match[1]) * _UNIT_SECONDS[match[2] or "s"]


def written_span(seconds: int) -> str:
    """Write seconds in the largest unit that divides them, as `_parse_span` reads them."""
    unit = [unit for unit, size in _UNIT_SECONDS.items() if seconds % size == 0][-1]
    return f"{seconds // _UNIT_SECONDS[unit]}{unit}"


def is_span(field: FieldInfo | None) -> bool:
    """Tell whether a setting is a duration."""
    return field is not None and _SPAN in field.metadata


def _split(value: Any) -> Any:
    return tuple(bare(part) for part in value.split(",") if bare(part)) if isinstance(value, str) else value


def _parse_limits(value: Any) -> Any:
    return parse_limits(value) if isinstance(value, str) else value


def _parse_switch(value: Any) -> Any:
    switch = _SWITCH.get(value.lower()) if isinstance(value, str) else value
    if switch is None:
        raise ValueError("write true or false")
    return switch


def _parse_proxies(value: Any) -> Any:
    """Read the number of proxies. Names, networks and `*` are refused, because a caller could pose as a proxy."""
    if re.fullmatch("[0-9]{1,2}", str(value).strip()) is None:
        raise ValueError(
            "write how many proxies append to X-Forwarded-For, such as 1; addresses and * are not allowed, "
            "because every caller could then choose its own address"
        )
    return int(value)


def _none_if_empty(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def _read_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(read_origin(origin) for origin in origins))


def _read_folder(value: Any) -> Any:
    if isinstance(value, str) and not (value and value.isprintable()):
        raise ValueError("write the path of a folder")
    return value


def _check_countries(countries: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [country for country in countries if country not in REGIONS]
    # Two or three letters are no secret, and the operator must know which of twenty was wrong.
    named = [country for country in unknown if re.fullmatch("[A-Za-z]{2,3}", country)]
    likely = [f"{country}: write {_LIKELY.get(country.upper(), country.upper())}" for country in named
              if country.upper() in _LIKELY or country.upper() in REGIONS]  # fmt: skip
    if unknown:
        which = f" ({', '.join(likely or named)})" if named else ""
        raise ValueError(
            f"it contains unknown regions{which}; write two-letter codes such as US,CA,DE, or leave it empty"
        )
    return countries


def _check_call_number(text: str) -> str:
    if re.fullmatch(r"\+[1-9][0-9]{6,14}", text) is None:
        raise ValueError("write an E.164 number, such as +14155550123")
    return text


def _check_place(text: str) -> str:
    if re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", text.lower()) is None:
        raise ValueError("write a name from Twilio's documentation: lower-case letters, digits and hyphens")
    return text.lower()


def check_sender(text: str) -> str:
    """Return a sender of text messages. Raises `ValueError` with a sentence."""
    if _SENDER.fullmatch(text) is None:
        raise ValueError(
            "write an E.164 number, a short code, or a sender name of at most 11 letters, digits, spaces and - + _ & "
            "with at least one letter"
        )
    return text


def _check_token(token: SecretStr) -> SecretStr:
    """Refuse characters that no Twilio token has: spaces, line breaks and quotes."""
    if re.fullmatch(r"[!#-&(-~]+", token.get_secret_value()) is None:
        raise ValueError("a token must not contain spaces, line breaks or quotes; separate several tokens by commas")
    return token


def _check_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    if len(text) < _LEAST_SECRET_CHARACTERS or len(set(text)) < _LEAST_DISTINCT_CHARACTERS or _PLACEHOLDER.search(text):
        raise ValueError(f"it is a placeholder, or has fewer than {_LEAST_SECRET_CHARACTERS} characters. {NEW_SECRET}")
    if not text.isprintable():
        raise ValueError("a key must be on one line; separate several keys by commas")
    if text[0] == text[-1] and text[0] in "\"'":
        raise ValueError("it is in quotes, which would be part of the key; remove them")
    return key


def read_locale(text: str) -> str:
    """Return the nearest of our languages. Raises `ValueError` with a sentence."""
    locale = negotiated(text, LOCALES)
    if locale is None:
        raise ValueError(f"there are no texts in this language; write one of {', '.join(LOCALES)}")
    return locale


def _optional(check: Callable[[Any], Any]) -> AfterValidator:
    return AfterValidator(lambda value: None if value is None else check(value))


def _each(check: Callable[[Any], Any]) -> AfterValidator:
    return AfterValidator(lambda values: tuple(check(value) for value in values))


def _sid(kind: str) -> AfterValidator:
    def check(text: str) -> str:
        if not is_sid(kind, text):
            raise ValueError(f"write a SID: {kind} and 32 hex digits")
        return text

    return _optional(check)


def one_of(*words: str) -> AfterValidator:
    """Accept one of these words, in either case."""

    def check(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"write {', '.join(words[:-1])} or {words[-1]}")
        return text.lower()

    return _optional(check)


_IF_ANY = BeforeValidator(_none_if_empty)
_SPAN = BeforeValidator(_parse_span)

Proxies = Annotated[int, BeforeValidator(_parse_proxies)]
Span = Annotated[int, _SPAN]
Switch = Annotated[bool, BeforeValidator(_parse_switch)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Countries = Annotated[Words, AfterValidator(_check_countries)]
Folder = Annotated[Path, BeforeValidator(_read_folder)]
Origins = Annotated[Words, AfterValidator(_read_origins)]
Keys = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split), _each(_check_key)]
Tokens = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split), _each(_check_token)]
LimitSpec = Annotated[Limits, NoDecode, BeforeValidator(_parse_limits)]
Optional = Annotated[str | None, _IF_ANY]
Count = Annotated[int | None, _IF_ANY]
OptionalKey = Annotated[SecretStr | None, _IF_ANY, _optional(_check_key)]
OptionalToken = Annotated[SecretStr | None, _IF_ANY, _optional(_check_token)]
AccountSid = Annotated[str | None, _IF_ANY, _sid("AC")]
ApiKeySid = Annotated[str | None, _IF_ANY, _sid("SK")]
MessagingServiceSid = Annotated[str | None, _IF_ANY, _sid("MG")]
Sender = Annotated[str | None, _IF_ANY, _optional(check_sender)]
CallNumber = Annotated[str | None, _IF_ANY, _optional(_check_call_number)]
TwilioPlace = Annotated[str | None, _IF_ANY, _optional(_check_place)]
Texts = Annotated[InstanceOf[OwnTexts], NoDecode, BeforeValidator(read_text_file)]
Locale = Annotated[str, AfterValidator(read_locale)]
LinkUrl = Annotated[str | None, _IF_ANY, _optional(read_link_url)]
ReturnUrls = Annotated[Words, _each(read_return_url)]
PublicUrl = Annotated[str | None, _IF_ANY, _optional(read_public_url)]
BaseUrl = Annotated[str | None, _IF_ANY, _optional(read_base_url)]
