"""Reads settings from files: one file per setting in a folder, as Docker, Kubernetes and systemd provide secrets.

A file is named like its setting, in either case, and contains its value; surrounding white space and a byte order mark
are stripped. Other files are ignored, and an empty file sets nothing. If a file and the environment or `.env` have
different values for a setting, the start fails, because either could be the outdated one: a rotated key must not stay
in use unnoticed. It also fails if a file cannot be read; pydantic-settings' own source would only warn. Error texts
never contain a value.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from service.config.forms import bare

USUAL_FOLDER = Path("/run/secrets")  # where Docker and Kubernetes put secrets


class SecretFilesRefused(Exception):
    """The files cannot be used; the text is a sentence that says why."""


def read_secret_files(named: str, *, settings: Collection[str], elsewhere: Mapping[str, Any]) -> dict[str, str]:
    """Read the files named like one of `settings`, from the folder `named` or the usual one.

    `elsewhere` has the values from the environment and `.env`; an empty one counts as not set.
    """
    found: dict[str, str] = {}
    for path in _files(named):
        name = path.name.lower()
        if name not in settings:
            continue
        if name in found:
            raise SecretFilesRefused(f"{name.upper()}: two files in {path.parent} have this name. Keep one.")
        value = _read(path)
        if value and bare(str(elsewhere.get(name) or value)) != value:
            raise SecretFilesRefused(
                f"{name.upper()}: {path} has one value, and the environment or .env another. Keep one."
            )
        if value:
            found[name] = value
    return found


def _files(named: str) -> list[Path]:
    folder = Path(named).expanduser() if named else USUAL_FOLDER
    if not named and not folder.exists():
        return []
    try:
        return sorted(folder.iterdir())
    except OSError as failure:
        place = "the folder it names" if named else folder  # the setting may contain a secret by mistake
        raise SecretFilesRefused(
            f"OTP_SECRETS_DIR: {place} cannot be listed ({failure.strerror}). Name one that this user can read."
        ) from None


def _read(path: Path) -> str:
    try:
        return str(bare(path.read_text("utf-8")))
    except OSError as failure:
        reason = failure.strerror
    except UnicodeDecodeError:
        reason = "it is not UTF-8 text"  # the text of the exception would contain a byte of it
    raise SecretFilesRefused(f"{path.name.upper()}: {path} cannot be read ({reason}).")
