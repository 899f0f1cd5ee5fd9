"""API keys: how one is made, and what is kept of it.

A key is 256 random bits. Only its SHA-256 is kept, with a name and scopes: so much randomness needs
no slow hash, and looking a digest up tells nothing by its timing.
"""

import hashlib
import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

API_KEY_PREFIX = "otp_sk_"


class Scope(StrEnum):
    """What an API key may do."""

    VERIFICATIONS = "verifications"
    REPORTS = "reports"
    OPERATE = "operate"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key, under its digest."""

    digest: str
    name: str
    scopes: frozenset[str]
    created_at: str
    owner: str  # whose verifications it acts on: its own name, unless it stands in for another key

    @property
    def particulars(self) -> Mapping[str, Any]:
        """What is written beside the digest."""
        return {
            "name": self.name,
            "scopes": sorted(self.scopes),
            "created_at": self.created_at,
            "owner": self.owner,
        }

    @property
    def owner_tag(self) -> str:
        """What verifications keep of the owner: short, of any alphabet, and no name."""
        return hashlib.sha256(self.owner.encode()).hexdigest()[:12]


class ApiKeyStore(Protocol):
    """Keeps what is known of each API key under the key's digest."""

    async def api_keys(self) -> Mapping[str, bytes]:
        """Read all digests with their JSON particulars."""


def new_api_key(name: str, scopes: Collection[Scope], *, owner: str | None = None) -> tuple[str, ApiKey]:
    """Make a key; the first part is the secret itself, shown once and kept nowhere."""
    key = API_KEY_PREFIX + secrets.token_urlsafe(32)
    created_at = datetime.now(UTC).isoformat(timespec="seconds")
    return key, ApiKey(key_digest(key), name, frozenset(scopes), created_at, owner or name)


def key_digest(key: str) -> str:
    """Digest an API key as it is kept."""
    return hashlib.sha256(key.encode()).hexdigest()


def read_api_keys(stored: Mapping[str, bytes]) -> dict[str, ApiKey]:
    """Read what is kept, by digest; an illegible entry is left out, so that it locks nobody else out."""
    keys = {}
    for digest, content in stored.items():
        try:
            particulars = json.loads(content)
            name, scopes = particulars["name"], frozenset(particulars["scopes"])
            owner = particulars.get("owner", name)
            keys[digest] = ApiKey(digest, name, scopes, particulars.get("created_at", ""), owner)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return keys
