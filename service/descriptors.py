"""File descriptors: raises the limit as far as allowed, and divides the descriptors among the parts of a process.

Every connection needs one, and the kernel limits their number per process (RLIMIT_NOFILE). If clients could use all of
them, the process could not reach Redis. So Redis, the log and other files get their share first, then requests to
Twilio; clients get the rest.
"""

import contextlib
import resource
from dataclasses import dataclass

# For Redis (one connection per node), the log, listeners, name lookups, the event loop and the embedded server's locks.
RESERVED = 48
_ENOUGH = 65_536  # more are not needed, and macOS accepts no higher number
_MOST_CONNECTIONS = 4096  # each uses 9 KB of memory, and up to 39 KB while it receives headers
_LEAST_CONNECTIONS = 512  # with fewer, the start logs a warning


@dataclass(frozen=True, slots=True)
class Shares:
    """How many descriptors each part of a process may use at once."""

    connections: int
    sends: int
    confirmations: int
    is_enough: bool  # for everything that the settings ask for


def raise_limit() -> None:
    """Raise the soft limit to the hard one. The soft limit is low for programs that use `select`; this one does not."""
    with contextlib.suppress(OSError, ValueError):  # if refused, keep the current limit
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def descriptor_limit() -> int:
    """Return how many descriptors this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _ENOUGH if soft == resource.RLIM_INFINITY else soft


def share_out(limit: int, *, connections: int | None, sends: int, confirmations: int) -> Shares:
    """Divide `limit` among the parts, at most what each asks for. Without `connections`, use a sensible maximum."""
    left = max(limit - RESERVED, 4)
    to_twilio = min(sends + confirmations, left // 2)
    to_confirm = max(1, to_twilio * confirmations // (sends + confirmations))
    shares = min(connections or _MOST_CONNECTIONS, left - to_twilio)
    return Shares(
        connections=shares,
        sends=max(1, to_twilio - to_confirm),
        confirmations=to_confirm,
        is_enough=to_twilio == sends + confirmations and shares >= (connections or _LEAST_CONNECTIONS),
    )


def sandbox_connections() -> int:
    """Return how many connections the simulator may accept; it needs as many descriptors again for its callbacks."""
    return max((descriptor_limit() - RESERVED) // 2, 1)
