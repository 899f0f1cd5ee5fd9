"""Settings from files: one file per setting in a folder, as Docker, Kubernetes and systemd hand secrets over.

A file is named like its setting, in either case, and holds its value; white space around it, and a byte order mark
before it, is none of it. Other
files are left alone, and an empty one sets nothing. Where a setting has a value in a file and another one in the
environment or `.env`, nobody can know which was meant (a rotated key that changes nothing is the worst guess): that
stops the start. So does a file that cannot be read; pydantic-settings' own source would warn and go on without it.
No sentence from here holds a value.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from service.config.forms import bare

USUAL_FOLDER = Path("/run/secrets")  # where Docker and Kubernetes put secrets


class SecretFilesRefused(Exception):
    """The files cannot be used; the text is a sentence that says why."""


def read_secret_files(named: str, *, settings: Collection[str], elsewhere: Mapping[str, Any]) -> dict[str, str]:
    """Read the files that are named like one of `settings`, from the folder `named` or the usual one.

    `elsewhere` holds what the environment and `.env` say; an empty value there counts as none.
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
                f"{name.upper()}: {path} holds one value and the environment or .env another. Keep one."
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
        place = "the folder it names" if named else folder  # what was named may be a secret in the wrong place
        raise SecretFilesRefused(
            f"OTP_SECRETS_DIR: {place} cannot be listed ({failure.strerror}). Name one that this user can read."
        ) from None


def _read(path: Path) -> str:
    try:
        return str(bare(path.read_text("utf-8")))
    except OSError as failure:
        reason = failure.strerror
    except UnicodeDecodeError:
        reason = "it is no text in UTF-8"  # the library's own words would show a byte of it
    raise SecretFilesRefused(f"{path.name.upper()}: {path} cannot be read ({reason}).")
