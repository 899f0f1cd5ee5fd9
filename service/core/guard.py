"""What guards the bill: limits per client address, prefix, country and day, all refused before a code exists.

The limits of one number are not here: they are counted in the same atomic step that writes the
send (`VerificationStore.issue`). A store that does not answer refuses: limits for paid messages
fail closed (OWASP API4:2023). While Twilio fails the breaker refuses a send first, and nothing is counted.
"""

import asyncio
import ipaddress
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from service.core.breaker import Breaker
from service.core.keyring import Keyring
from service.core.limits import UNLIMITED, Limits
from service.core.ports import LimitStore, StoreUnavailable

# `[2001:db8::1]:443`, `[2001:db8::1]` and `192.0.2.1:443`, as proxies write them.
_WITH_PORT = re.compile(r"\[([^\]]*)\](?::[0-9]+)?|([0-9.]+):[0-9]+")


@dataclass(frozen=True, slots=True)
class GuardPolicy:
    """The limits that are counted beside those of the number."""

    client_ip: Limits = UNLIMITED
    api_key: Limits = UNLIMITED
    prefix: Limits = UNLIMITED
    country: Limits = UNLIMITED
    day: Limits = UNLIMITED
    peer: Limits = UNLIMITED
    require_client_ip: bool = False


class Guard:
    """Reserves every limit that a send or a client-token request must keep."""

    def __init__(
        self, store: LimitStore, keyring: Keyring, policy: GuardPolicy, *, breaker: Breaker | None = None
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._policy = policy
        self._breaker = breaker

    @property
    def requires_client_ip(self) -> bool:
        """Tell whether an issue without `client_ip` is refused."""
        return self._policy.require_client_ip

    def client_tag(self, client_ip: str | None) -> str | None:
        """Name what a person's address is counted under; a resend counts under it too."""
        return None if client_ip is None else self._keyring.limit_tag("ip", network_of(client_ip))

    def reservation(self, *, to: str, country: str, caller: str | None, client_tag: str | None) -> "Reservation":
        """Prepare the limits of one send; nothing is asked yet."""
        tag = self._keyring.limit_tag
        asked = [
            _Asked("prefix", tag("prefix", to[:-4]), self._policy.prefix),
            _Asked("country", tag("country", country), self._policy.country),
            _Asked("day", tag("day", "all"), self._policy.day),
        ]
        if caller is not None:
            asked.append(_Asked("key", tag("key", caller), self._policy.api_key))
        if client_tag is not None:
            asked.append(_Asked("ip", client_tag, self._policy.client_ip))
        return Reservation(self._store, asked, breaker=self._breaker)

    async def wait_for_peer_ms(self, address: str) -> int:
        """Reserve one request of a client-token holder; 0 when granted, else the wait."""
        tag = self._keyring.limit_tag("peer", network_of(address))
        return await Reservation(self._store, [_Asked("peer", tag, self._policy.peer)]).ask()


@dataclass(frozen=True, slots=True)
class _Asked:
    kind: str
    tag: str
    limits: Limits


class Reservation:
    """Leave to send, and one unit of several limits: all of them, or none.

    What we refuse, what is repeated or fails gives everything back: else a flood of refused requests,
    which costs its sender nothing, would use up the limits that others share.
    """

    def __init__(self, store: LimitStore, asked: Sequence[_Asked], *, breaker: Breaker | None = None) -> None:
        self._store = store
        self._breaker = breaker
        self._is_probe = False
        self._asked = [limit for limit in asked if limit.limits]
        self._granted: list[tuple[_Asked, int]] = []

    async def ask(self) -> int:
        """Reserve all limits side by side, in one round trip; 0 when all grant, else the longest wait (ms).

        Raises `SendingHalted`, before anything is asked, and `StoreUnavailable`.
        """
        self._is_probe = self._breaker is not None and self._breaker.admit()
        answers = await asyncio.gather(
            *(self._store.reserve(limit.kind, limit.tag, limit.limits) for limit in self._asked), return_exceptions=True
        )
        failure: BaseException | None = None
        wait_ms = 0
        for limit, answer in zip(self._asked, answers, strict=True):
            if isinstance(answer, BaseException):
                failure = answer
            elif answer.wait_ms:
                wait_ms = max(wait_ms, answer.wait_ms)
            else:
                self._granted.append((limit, answer.at_ms))
        if wait_ms or failure is not None:
            await self.give_back()
        if failure is not None:
            raise failure
        return wait_ms

    async def give_back(self) -> None:
        """Uncount what was granted; a store that fails here leaves it counted, which errs on the safe side."""
        if self._breaker is not None and self._is_probe:
            self._is_probe = False
            self._breaker.give_back()
        granted, self._granted = self._granted, []
        with suppress(StoreUnavailable):
            await asyncio.gather(
                *(self._store.give_back(limit.kind, limit.tag, limit.limits, at_ms) for limit, at_ms in granted)
            )


def network_of(address: str) -> str:
    """Name the network that one limit covers: the IPv4 address itself, of IPv6 the /64.

    A proxy may append the port, or brackets: they say nothing. An IPv4 address in IPv6 clothes
    (`::ffff:192.0.2.1`) counts as IPv4. All that is no address counts as one, so that nobody slips
    past a limit by being illegible.
    """
    bare = _WITH_PORT.fullmatch(address)
    try:
        ip = ipaddress.ip_address(bare[1] or bare[2] if bare else address)
    except ValueError:
        return "illegible"
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(ip) >> 64 << 64, 64)))
    return str(ip)
