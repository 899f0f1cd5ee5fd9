"""Writes pydantic's errors about settings as sentences that say what to write instead."""

from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo

from service.config.forms import is_span, written_span

# Texts for pydantic's errors about numbers, in the style of our own.
_NUMBERS = {
    "int_parsing": "write a whole number",
    "greater_than_equal": "write a number of at least {ge}",
    "less_than_equal": "write a number of at most {le}",
}


_DURATIONS = {
    "greater_than_equal": "write a duration of at least {written} ({ge} seconds)",
    "less_than_equal": "write a duration of at most {written} ({le} seconds)",
}


def sentence(error: Any, fields: Mapping[str, FieldInfo]) -> str:
    """Write one of pydantic's errors as a sentence that names the setting. `fields` are those of the settings."""
    name = ".".join(str(part) for part in error["loc"][:1]).upper()
    limits = error.get("ctx", {})
    texts = _NUMBERS
    if error["type"] in _DURATIONS and is_span(fields.get(name.lower())):
        texts, limits = _DURATIONS, {**limits, "written": written_span(*limits.values())}
    text = texts.get(error["type"], "").format(**limits) or error["msg"]
    text = text.removeprefix("Value error, ").removesuffix(".")
    return f"{name}: {text}." if name else f"{text}."
