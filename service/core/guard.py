"""What guards the bill: limits per client address, prefix, country and day, all refused before a code exists.

The limits of one number are not here: they are counted in the same atomic step that writes the
send (`VerificationStore.issue`). A store that does not answer refuses: limits for paid messages
fail closed (OWASP API4:2023).
"""

import asyncio
import ipaddress
from dataclasses import dataclass

from service.core.limits import UNLIMITED, Limits
from service.core.ports import LimitStore


@dataclass(frozen=True, slots=True)
class GuardPolicy:
    """The limits that are counted beside those of the number."""

    client_ip: Limits = UNLIMITED
    prefix: Limits = UNLIMITED
    country: Limits = UNLIMITED
    day: Limits = UNLIMITED
    peer: Limits = UNLIMITED
    require_client_ip: bool = False


class Guard:
    """Reserves every limit that a send or a client-token request must keep."""

    def __init__(self, store: LimitStore, policy: GuardPolicy) -> None:
        self._store = store
        self._policy = policy

    @property
    def requires_client_ip(self) -> bool:
        """Tell whether an issue without `client_ip` is refused."""
        return self._policy.require_client_ip

    async def wait_for_send_ms(self, *, to: str, country: str, client_ip: str | None) -> int:
        """Reserve one send; 0 when all limits grant it, else the longest wait.

        The limits are asked side by side, in one round trip. One that grants while another refuses
        stays counted: a refused flood must not refill itself.
        """
        asked = [
            ("prefix", to[:-4], self._policy.prefix),
            ("country", country, self._policy.country),
            ("day", "all", self._policy.day),
        ]
        if client_ip is not None:
            asked.append(("ip", network_of(client_ip), self._policy.client_ip))
        return await self._longest_wait_ms(asked)

    async def wait_for_peer_ms(self, address: str) -> int:
        """Reserve one request of a client-token holder; 0 when granted, else the wait."""
        return await self._longest_wait_ms([("peer", network_of(address), self._policy.peer)])

    async def _longest_wait_ms(self, asked: list[tuple[str, str, Limits]]) -> int:
        waits = [self._store.reserve(kind, value, limits) for kind, value, limits in asked if limits]
        return max(await asyncio.gather(*waits), default=0)


def network_of(address: str) -> str:
    """Name the network that one limit covers: the IPv4 address itself, of IPv6 the /64.

    An IPv4 address in IPv6 clothes (`::ffff:192.0.2.1`) counts as IPv4. What is no address counts
    as itself, so that nobody slips past a limit by being illegible.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(ip) >> 64 << 64, 64)))
    return str(ip)
