"""Reads files that settings name; one of them, `OTP_TEXTS`, is TOML. `core.own_texts` says what that may hold."""

from pathlib import Path
from typing import Any

from service.core.own_texts import NO_OWN_TEXTS, OwnTexts, parse_own_texts

_MOST_BYTES = 1_000_000


def read_text_file(value: Any) -> Any:
    """Read the texts from the file at a path; no path, no texts. Raises `ValueError` with a sentence."""
    if isinstance(value, OwnTexts):
        return value
    if not value:
        return NO_OWN_TEXTS
    return parse_own_texts(read_text(value))


def read_text(path: Any) -> str:
    """Read a file of UTF-8. Raises `ValueError` with a sentence."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except (OSError, TypeError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or "this is not a path"
        raise ValueError(f"the file cannot be read: {reason}") from None
    if len(content) > _MOST_BYTES:
        raise ValueError(f"the file has more than {_MOST_BYTES:,} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("the file is not UTF-8") from None
