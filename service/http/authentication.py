"""Authentication: API keys with scopes, and client tokens, each for one verification.

All API keys are read from Redis at once. The copy is at most 30 s old while Redis responds. An unknown key causes
another read, at most one per second. In a cluster one node holds the keys: while it is unavailable, the last copy
serves known keys for ten minutes, so that losing that node does not stop the other partitions; then the response is
503. A client token is an HMAC of its verification's id, so it needs no copy. Front ends are limited by their address.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from service.core.api_keys import ApiKeyStore, Scope, key_digest, read_api_keys
from service.core.keyring import CLIENT_TOKEN_PREFIX, Keyring
from service.core.limiter import Limiter
from service.core.store_health import UNKNOWN, StoreUnavailable
from service.http.problems import HttpProblem
from service.http.request import Caller, Request

SECURITY_SCHEMES = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "otp_sk_…",
        "description": "For back ends. `otp-service keys create NAME` prints one; "
        "the demo prints one at its start. Keep it out of every page and app.",
    },
    "clientToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "vt_…",
        "description": "For front ends: `client_token` of the response to the issue. It may verify, resend and read "
        "that verification, and nothing else; the number is masked.",
    },
}
_OLDEST_SECONDS = 30.0
_OLDEST_AWAY_SECONDS = 600.0
_BACK_END_ONLY = "A client token may only verify, resend and read its verification. Use an API key."
_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Access:
    """What a route requires of a credential, and its schemes in the OpenAPI document.

    `identify` reads the credential into the request, and notes whether it is valid, without waiting. `admits` finds the
    caller of an API key without waiting, and tells whether it did. `authorize` finds the caller of any credential,
    or raises a problem.
    """

    identify: Callable[[Request], None]
    authorize: Callable[[Request], Awaitable[None]]
    schemes: tuple[str, ...]
    scope: Scope
    admits: Callable[[Request], bool] = lambda _: False


@dataclass(frozen=True, slots=True)
class KnownKey:
    """An API key that was read."""

    scopes: frozenset[str]
    caller: Caller


class Authenticator:
    """Finds the caller of a request, or raises a problem."""

    def __init__(
        self,
        keys: ApiKeyStore,
        keyring: Keyring,
        limiter: Limiter,
        *,
        trusted_proxies: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = keys
        self._keyring = keyring
        self._limiter = limiter
        self._trusted_proxies = trusted_proxies
        self._clock = clock
        self._keys: dict[str, KnownKey] = {}
        self._read_at = self._asked_at = -_OLDEST_SECONDS
        self._fault = UNKNOWN  # why the last read failed
        self._reading = asyncio.Lock()

    def key(self, scope: Scope) -> Access:
        """Return the access of a route that requires an API key with this scope."""

        async def authorize(request: Request) -> None:
            note_caller(request, await self._by_key(request, scope))

        return Access(self._identify, authorize, ("apiKey",), scope, partial(self._admits, scope))

    def key_or_token(self, scope: Scope) -> Access:
        """Return the access of a route that also accepts the client token of the verification in its path."""

        async def authorize(request: Request) -> None:
            is_token = request.credential.startswith(CLIENT_TOKEN_PREFIX)
            note_caller(request, await (self._by_token(request) if is_token else self._by_key(request, scope)))

        return Access(self._identify, authorize, ("apiKey", "clientToken"), scope, partial(self._admits, scope))

    def _identify(self, request: Request) -> None:
        request.credential = credential = _bearer(request)
        if credential.startswith(CLIENT_TOKEN_PREFIX):
            verification_id = request.path_params.get("verification_id", "")
            request.is_known = self._keyring.is_client_token(verification_id, credential)
        elif credential:
            request.key_digest = digest = key_digest(credential)
            request.is_known = digest in self._keys

    def _admits(self, scope: Scope, request: Request) -> bool:
        known = self._keys.get(request.key_digest)
        if known is None or scope not in known.scopes or self._clock() - self._read_at >= _OLDEST_SECONDS:
            return False
        note_caller(request, known.caller)
        return True

    async def _by_key(self, request: Request, scope: Scope) -> Caller:
        if request.credential.startswith(CLIENT_TOKEN_PREFIX):
            raise HttpProblem("insufficient_scope", _BACK_END_ONLY)
        if not request.credential:
            raise unauthenticated()
        known = await self.known_key(request.key_digest)
        if known is None:
            raise unauthenticated()
        if scope not in known.scopes:
            raise insufficient_scope(scope)
        return known.caller

    async def known_key(self, digest: str) -> KnownKey | None:
        """Find an API key by its digest; None if there is none, or since at most 30 s ago none any more."""
        known = self._keys.get(digest)
        if self._clock() - self._read_at >= (_OLDEST_SECONDS if known else _PAUSE_SECONDS):
            return await self._read_again(digest)
        return known

    async def _by_token(self, request: Request) -> Caller:
        if not request.is_known:
            raise unauthenticated()
        await self._limiter.admit_peer(request.peer(trusted_proxies=self._trusted_proxies))
        return Caller(scope_id=request.path_params["verification_id"], name="client token", is_front_end=True)

    async def _read_again(self, digest: str) -> KnownKey | None:
        """Read the keys again, because the copy is old or because the key is not in it."""
        is_away = self._read_at != self._asked_at
        # While another request reads, a key that the copy may serve need not wait for it.
        if not (is_away and self._reading.locked() and self._copy_serves(digest)):
            async with self._reading:
                try:
                    await self._read_in_turn(is_due=self._clock() - self._asked_at >= _PAUSE_SECONDS)
                except StoreUnavailable:
                    if not self._copy_serves(digest):
                        raise
        return self._keys.get(digest)

    def _copy_serves(self, digest: str) -> bool:
        """Tell whether the copy may serve this key while Redis is unavailable."""
        return digest in self._keys and self._clock() - self._read_at < _OLDEST_AWAY_SECONDS

    async def _read_in_turn(self, *, is_due: bool) -> None:
        if is_due:  # else another request has just read them
            await self._read()
        elif self._read_at != self._asked_at:  # that read failed, so those that waited for it fail at once
            raise StoreUnavailable("the API keys could not be read", self._fault)

    async def _read(self) -> None:
        try:
            stored = await self._store.api_keys()
        except StoreUnavailable as away:
            self._asked_at, self._fault = self._clock(), away.fault
            raise
        self._keys = {
            digest: KnownKey(key.scopes, Caller(scope_id=digest, name=key.name, owner=key.owner_tag))
            for digest, key in read_api_keys(stored).items()
        }
        self._read_at = self._asked_at = self._clock()


def note_caller(request: Request, caller: Caller) -> None:
    """Note who sent a request, for the endpoint and for the log."""
    request.caller = caller
    request.log["api_key"] = caller.name


def _bearer(request: Request) -> str:
    """Read the credential from `Authorization: Bearer …`; "" if there is none."""
    scheme, _, credential = request.headers.get(b"authorization", b"").partition(b" ")
    return credential.decode("latin-1").strip() if scheme.lower() == b"bearer" else ""


def unauthenticated() -> HttpProblem:
    """Make the problem of a missing or unknown credential. It names the scheme, as RFC 9110 requires."""
    return HttpProblem("unauthenticated", headers={"www-authenticate": "Bearer"})


def insufficient_scope(scope: Scope) -> HttpProblem:
    """Make the problem of an API key without this scope."""
    return HttpProblem("insufficient_scope", f"The API key lacks the scope {scope}. Use one that has it.")
