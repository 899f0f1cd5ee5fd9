"""Who may call: API keys with scopes, and client tokens for one verification each.

All keys are read at once, at most 30 s old while Redis answers; an unknown key makes them be read again, at most
once a second, however many unknown keys arrive. In a cluster one node holds them: while it is away the last copy
carries known callers for ten minutes, so that the loss of that node costs its share and no more; then it is 503. A
client token needs no copy: it is an HMAC of the id it is good for. Front ends are limited by their address.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

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
        "description": "For front ends: `client_token` from the answer to the issue. It may verify, resend and read "
        "that verification and do nothing else; the number comes masked.",
    },
}
_OLDEST_SECONDS = 30.0
_OLDEST_AWAY_SECONDS = 600.0
_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Access:
    """The check in front of a route, and the schemes by which the OpenAPI page names it."""

    authorize: Callable[[Request, Mapping[str, str]], Awaitable[None]]
    schemes: tuple[str, ...]
    scope: Scope


@dataclass(frozen=True, slots=True)
class _Known:
    """An API key as a request needs it."""

    scopes: frozenset[str]
    caller: Caller


class Authenticator:
    """Finds out who calls, or refuses."""

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
        self._keys: dict[str, _Known] = {}
        self._read_at = self._asked_at = -_OLDEST_SECONDS
        self._fault = UNKNOWN  # why the last reading failed
        self._reading = asyncio.Lock()

    def key(self, scope: Scope) -> Access:
        """Make the check for a route that takes an API key of this scope."""

        async def authorize(request: Request, _: Mapping[str, str]) -> None:
            request.caller = await self._by_key(_bearer(request), scope)
            request.log["api_key"] = request.caller.name

        return Access(authorize, ("apiKey",), scope)

    def key_or_token(self, scope: Scope) -> Access:
        """Make the check for a route that also takes the client token of the verification in its path."""

        async def authorize(request: Request, path: Mapping[str, str]) -> None:
            credential = _bearer(request)
            if credential.startswith(CLIENT_TOKEN_PREFIX):
                request.caller = await self._by_token(
                    credential, path["verification_id"], request.peer(trusted_proxies=self._trusted_proxies)
                )
                request.log["api_key"] = "client token"
            else:
                request.caller = await self._by_key(credential, scope)
                request.log["api_key"] = request.caller.name

        return Access(authorize, ("apiKey", "clientToken"), scope)

    async def _by_key(self, credential: str, scope: Scope) -> Caller:
        if credential.startswith(CLIENT_TOKEN_PREFIX):
            raise HttpProblem("insufficient_scope", "A client token may verify, resend and read its verification.")
        digest = key_digest(credential)
        known = self._keys.get(digest)
        if self._clock() - self._read_at >= (_OLDEST_SECONDS if known else _PAUSE_SECONDS):
            known = await self._look_again(digest)
        if known is None:
            raise unauthenticated()
        if scope not in known.scopes:
            raise insufficient_scope(scope)
        return known.caller

    async def _by_token(self, token: str, verification_id: str, peer: str) -> Caller:
        if not self._keyring.is_client_token(verification_id, token):
            raise unauthenticated()
        await self._limiter.admit_peer(peer)
        return Caller(scope_id=verification_id, name="client token", is_front_end=True)

    async def _look_again(self, digest: str) -> "_Known | None":
        """Read the copy anew, because it is old or because the key is not in it."""
        is_away = self._read_at != self._asked_at
        if not (is_away and self._reading.locked() and self._outlasts(digest)):  # else another caller waits for all
            async with self._reading:
                try:
                    await self._read_in_turn(is_due=self._clock() - self._asked_at >= _PAUSE_SECONDS)
                except StoreUnavailable:
                    if not self._outlasts(digest):
                        raise
        return self._keys.get(digest)

    def _outlasts(self, digest: str) -> bool:
        """Tell whether the copy may carry this key while Redis is away."""
        return digest in self._keys and self._clock() - self._read_at < _OLDEST_AWAY_SECONDS

    async def _read_in_turn(self, *, is_due: bool) -> None:
        if is_due:  # else another caller has just asked
            await self._read()
        elif self._read_at != self._asked_at:  # and got no answer: whoever stood in line need not wait for it too
            raise StoreUnavailable("the API keys could not be read", self._fault)

    async def _read(self) -> None:
        try:
            stored = await self._store.api_keys()
        except StoreUnavailable as away:
            self._asked_at, self._fault = self._clock(), away.fault
            raise
        self._keys = {
            digest: _Known(key.scopes, Caller(scope_id=digest, name=key.name, owner=key.owner_tag))
            for digest, key in read_api_keys(stored).items()
        }
        self._read_at = self._asked_at = self._clock()


def _bearer(request: Request) -> str:
    """Read the credential: `Authorization: Bearer …`, with nothing else around it."""
    scheme, _, credential = request.headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"bearer" or not credential:
        raise unauthenticated()
    return credential.decode("latin-1").strip()


def unauthenticated() -> HttpProblem:
    """Make the refusal of a request without a credential that is known; it names the scheme, as RFC 9110 asks."""
    return HttpProblem("unauthenticated", headers={"www-authenticate": "Bearer"})


def insufficient_scope(scope: Scope) -> HttpProblem:
    """Make the refusal of an API key that is known and may not do this."""
    return HttpProblem("insufficient_scope", f"The API key lacks the scope {scope}.")
