"""Reads `.env`, and finds names that look like settings but are not.

Values are not expanded: `${NAME}` stays as it is, since a secret may contain it.

A file that cannot be read, or is not UTF-8 (some editors save UTF-16), stops the start with one sentence. An unknown
name does not, because other programs have settings too; `check` warns of names that look like ours.
"""

import codecs
import difflib
import os
import re
from collections.abc import Collection
from pathlib import Path

from dotenv import dotenv_values

from service.config import secret_files

ENV_FILE = Path(".env")
ENV_ENCODING = "utf-8-sig"  # UTF-8, with or without a byte order mark
_OURS = re.compile(r"(OTP|TWILIO)_\w+")
# Kubernetes sets the addresses of services in each pod: OTP_SERVICE_HOST for a service named otp.
_KUBERNETES = re.compile(r"\w+_SERVICE_(HOST|PORT(_\w+)?)|\w+_PORT(_[0-9]+_(TCP|UDP|SCTP)(_\w+)?)?")


class EnvFileRefused(Exception):
    """The file `.env` cannot be read; the text is a sentence that says why."""


def read_env_file(path: Path | None) -> dict[str, str]:
    """Return the values in the file by name, in lower case. Raises `EnvFileRefused` if it cannot be read."""
    _refuse_unreadable(path)
    if path is None or not path.exists() or path.is_dir():
        return {}
    values = dotenv_values(path, encoding=ENV_ENCODING, interpolate=False)
    return {name.lower(): value for name, value in values.items() if value is not None}


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
        ".env": list(dotenv_values(env_file, encoding=ENV_ENCODING)) if env_file.is_file() else [],
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
