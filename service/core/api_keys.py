"""API keys: how a key is made, and what is stored of it.

A key is 256 random bits. Only its SHA-256 is stored, with a name and scopes: that much randomness needs no slow hash,
and the time of a look-up by digest reveals nothing.
"""

import hashlib
import json
import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from service.core.instants import instant

API_KEY_PREFIX = "otp_sk_"


class Scope(StrEnum):
    """What an API key may do."""

    VERIFICATIONS = "verifications"
    REPORTS = "reports"
    OPERATE = "operate"


class Look(NamedTuple):
    """How the messages of a key look; None: as the settings say. `core.profiles` makes its profile of it."""

    brand: str | None = None
    sender: str | None = None
    locale: str | None = None
    texts: str | None = None  # the content of a file like that of OTP_TEXTS

    @property
    def given(self) -> dict[str, str]:
        """What is not as the settings say."""
        return {name: value for name, value in self._asdict().items() if value is not None}


_AS_SETTINGS = Look()


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is stored of a key, under its digest."""

    digest: str
    name: str
    scopes: frozenset[str]
    created_at: str
    owner: str  # whose verifications it acts on: its own name, unless it replaces another key
    look: Look = _AS_SETTINGS

    @property
    def particulars(self) -> Mapping[str, Any]:
        """What is stored beside the digest."""
        return {
            "name": self.name,
            "scopes": sorted(self.scopes),
            "created_at": self.created_at,
            "owner": self.owner,
            **self.look.given,
        }

    @property
    def owner_tag(self) -> str:
        """What a verification stores of its owner: a short digest of the name."""
        return hashlib.sha256(self.owner.encode()).hexdigest()[:12]


class ApiKeyStore(Protocol):
    """Keeps the particulars of each API key under its digest."""

    async def api_keys(self) -> Mapping[str, bytes]:
        """Read all digests with their JSON particulars."""


def new_api_key(
    name: str, scopes: Collection[Scope], *, owner: str | None = None, look: Look = _AS_SETTINGS
) -> tuple[str, ApiKey]:
    """Make a key; the first part is the secret itself, which is shown once and stored nowhere."""
    key = API_KEY_PREFIX + secrets.token_urlsafe(32)
    created_at = instant(time.time_ns() // 1_000_000)
    return key, ApiKey(key_digest(key), name, frozenset(scopes), created_at, owner or name, look)


def key_digest(key: str) -> str:
    """Digest an API key as it is stored."""
    return hashlib.sha256(key.encode()).hexdigest()


def read_api_keys(stored: Mapping[str, bytes]) -> dict[str, ApiKey]:
    """Read the stored keys, by digest. An illegible entry is skipped, so that the other keys still work."""
    keys = {}
    for digest, content in stored.items():
        try:
            particulars = json.loads(content)
            name, scopes = particulars["name"], frozenset(particulars["scopes"])
            owner = particulars.get("owner", name)
            look = Look(*(_text(particulars.get(each)) for each in Look._fields))
            keys[digest] = ApiKey(digest, name, scopes, particulars.get("created_at", ""), owner, look)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return keys


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
