"""Sessions of operators on the dashboard: how one begins, what it may do, and when it ends.

A session begins with an API key and acts with what that key may do now. Its token is 256 random bits, drawn anew at
each sign-in, so no one can choose the token of another (session fixation). The store has only an HMAC of it, and the
digest of the key. It ends after 12 hours, when the operator signs out, or when its key is revoked.

The CSRF token is an HMAC of the session's token: a page of another site sends the cookie, but cannot know this token.
"""

import hmac
import secrets
from dataclasses import dataclass
from typing import Protocol

from service.core.keyring import Keyring

LIFE_SECONDS = 12 * 3600
_TOKEN_BYTES = 32
_TOKEN_LENGTH = 43  # of so many bytes in base64, without padding


@dataclass(frozen=True, slots=True)
class Session:
    """A session that has begun."""

    key_digest: str  # of the API key that it acts with
    seconds_left: int


class SessionStore(Protocol):
    """Keeps sessions by the tags of their tokens. All raise `StoreUnavailable`."""

    async def begin(self, tag: str, key_digest: str, seconds: int) -> None:
        """Keep a session for so long."""

    async def find(self, tag: str) -> Session | None:
        """Find a session; None if there is none, or if it has ended."""

    async def end(self, tag: str) -> None:
        """Forget a session."""


class Sessions:
    """Begins, finds and ends sessions."""

    def __init__(self, store: SessionStore, keyring: Keyring) -> None:
        self._store = store
        self._keyring = keyring

    async def begin(self, key_digest: str) -> str:
        """Begin a session and return its token, which is stored nowhere."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        await self._store.begin(self._keyring.session_tag(token), key_digest, LIFE_SECONDS)
        return token

    async def find(self, token: str) -> Session | None:
        """Find the session of a token. What cannot be a token is not looked up."""
        if len(token) != _TOKEN_LENGTH:
            return None
        return await self._store.find(self._keyring.session_tag(token))

    async def end(self, token: str) -> None:
        """End the session of a token, if there is one."""
        if len(token) == _TOKEN_LENGTH:
            await self._store.end(self._keyring.session_tag(token))

    def csrf_token(self, token: str) -> str:
        """Derive the CSRF token of a session."""
        return self._keyring.csrf_token(token)

    def is_csrf_token(self, token: str, given: str) -> bool:
        """Check a CSRF token in constant time."""
        return hmac.compare_digest(self.csrf_token(token).encode(), given.encode())
