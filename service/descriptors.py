"""File descriptors: raises the limit as far as allowed, and divides the descriptors among the parts of a process.

Every connection needs one, and the kernel limits them for each process (RLIMIT_NOFILE). If clients could use them all,
the process could not reach Redis. So Redis, the log and other files get their share first, then calls to Twilio;
clients get the rest.
"""

import contextlib
import resource
from dataclasses import dataclass

# For Redis (one connection a node), the log, listeners, name lookups, the event loop and the embedded server's locks.
RESERVED = 48
_ENOUGH = 65_536  # more are of no use, and macOS takes no such number
_MOST_CONNECTIONS = 4096  # each of them holds 9 KB of memory, with most of a head 39 KB
_LEAST_CONNECTIONS = 512  # with fewer a start deserves a warning


@dataclass(frozen=True, slots=True)
class Shares:
    """What one process may hold open at once."""

    connections: int
    sends: int
    confirmations: int
    is_enough: bool  # for all that the settings ask for


def raise_limit() -> None:
    """Raise the soft limit to the hard one: the soft one is low for programs that use `select`, and we are none."""
    with contextlib.suppress(OSError, ValueError):  # refused: what we have must do
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def descriptor_limit() -> int:
    """Say how many descriptors this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _ENOUGH if soft == resource.RLIM_INFINITY else soft


def share_out(limit: int, *, connections: int | None, sends: int, confirmations: int) -> Shares:
    """Share descriptors out: at most what each part asks for; `connections` None: as many as is sensible."""
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
    """Say how many connections the simulator may hold: as many may be needed for its callbacks."""
    return max((descriptor_limit() - RESERVED) // 2, 1)
