"""Reads `.env`, and finds names that look like settings but are not.

Values are not expanded: `${NAME}` stays as it is, since a secret may contain it.

A file that cannot be read, or is not UTF-8 (some editors save UTF-16), stops the start with one sentence. So does a
line that is not NAME=VALUE: if it were ignored, a default would replace what the operator wrote. An unknown
name does not, because other programs have settings too; `check` warns of names that look like ours.
"""

import codecs
import difflib
import os
import re
from collections.abc import Collection
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from service.config import secret_files

ENV_FILE = Path(".env")
ENV_ENCODING = "utf-8-sig"  # UTF-8, with or without a byte order mark
_OURS = re.compile(r"(OTP|TWILIO)_\w+")
_NAME = re.compile(r"\s*(?:export\s+)?'?(\w+)")
# Kubernetes sets the addresses of services in each pod: OTP_SERVICE_HOST for a service named otp.
_KUBERNETES = re.compile(r"\w+_SERVICE_(HOST|PORT(_\w+)?)|\w+_PORT(_[0-9]+_(TCP|UDP|SCTP)(_\w+)?)?")


class EnvFileRefused(Exception):
    """The file `.env` cannot be read; the text is a sentence that says why."""


def read_env_file(path: Path | None, *, settings: Collection[str]) -> dict[str, str]:
    """Return the values in the file by name, in lower case. Raises `EnvFileRefused` if it cannot be read.

    `settings` has the names of all settings, in upper case.
    """
    _refuse_unreadable(path)
    if path is None or not path.exists() or path.is_dir():
        return {}
    bindings = _bindings(path)
    for binding in bindings:
        # A name alone may belong to another program, which takes its value from the environment.
        if binding.error or (binding.value is None and _setting_in(binding, settings)):
            raise EnvFileRefused(_line_refusal(path, binding, settings))
    return {binding.key.lower(): binding.value for binding in bindings if binding.key and binding.value is not None}


def _bindings(path: Path) -> list[Binding]:
    with path.open(encoding=ENV_ENCODING) as file:
        return list(parse_stream(file))


def _line_refusal(path: Path, binding: Binding, settings: Collection[str]) -> str:
    """Name the line and its setting, without anything else on the line: it may be a secret."""
    text = binding.original.string
    line = binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")  # after the empty lines before it
    name = _setting_in(binding, settings)
    place = f"{path}, line {line}" + (f" ({name})" if name else "")
    return f"{place}: write NAME=VALUE; quotes, if any, must enclose the whole value."


def _setting_in(binding: Binding, settings: Collection[str]) -> str | None:
    """Return the name at the start of a line if it is a setting's; other words may be parts of a secret."""
    match = _NAME.match(binding.original.string)
    return match[1].upper() if match and match[1].upper() in settings else None


def _refuse_unreadable(path: Path | None) -> None:
    """Raise `EnvFileRefused` if the file exists but cannot be read as UTF-8."""
    if path is None or not path.exists() or path.is_fifo():
        return
    try:
        content = path.read_bytes()
    except OSError as failure:
        raise EnvFileRefused(f"{path} cannot be read ({failure.strerror}).") from None
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in content:
        raise EnvFileRefused(f"{path} is written in UTF-16. Save it as UTF-8.")
    try:
        content.decode()
    except UnicodeDecodeError:
        raise EnvFileRefused(f"{path} is not UTF-8 text. Save it as UTF-8.") from None


def unread_names(settings: Collection[str], *, secrets_dir: str | None, env_file: Path = ENV_FILE) -> list[str]:
    """List names in the environment, `.env` and the secrets folder that look like settings but are not.

    Each item is a sentence. `settings` has the names of all settings, in upper case.
    """
    folder = Path(secrets_dir).expanduser() if secrets_dir else secret_files.USUAL_FOLDER
    places = {
        "the environment": list(os.environ),
        ".env": [binding.key for binding in _bindings(env_file) if binding.key] if env_file.is_file() else [],
        "the folder of secrets": [path.name for path in folder.iterdir()] if folder.is_dir() else [],
    }
    return [
        f"{name} in {place} is not a setting and is ignored.{_suggestion(name, settings)}"
        for place, names in places.items()
        for name in sorted({name.upper() for name in names})
        if _OURS.fullmatch(name) and name not in settings and not _KUBERNETES.fullmatch(name)
    ]


def _suggestion(name: str, settings: Collection[str]) -> str:
    likely = difflib.get_close_matches(name, settings, n=1, cutoff=0.75)
    return f" Did you mean {likely[0]}?" if likely else ""
