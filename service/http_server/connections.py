"""The connections of one process: how many may be open, which one to close for a new one, and draining.

Opening a connection needs no credential, and each one costs a descriptor and memory. So there is a limit for the
process and one for each peer; `peer_of` says which addresses are one peer. At a limit, a new connection replaces the
oldest one that has never completed a request, else those that have waited for their clients the longest. It is refused
only if all clients wait for us. So open connections keep nobody out, and a peer at its limit loses its own connections
only.

The protocol tells what happens (`opened`, `asked`, `closed`); this module never looks at a request.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from heapq import nsmallest
from typing import Protocol

_QUIET_SECONDS = 60.0  # between two lines on the same bound
_PART = 16  # looking for those that we wait for costs a walk, so one walk closes a sixteenth of them


class Connection(Protocol):
    """A connection as the protocol has it."""

    @property
    def waiting_since(self) -> float | None:
        """When we began to wait for the client, to ask, to go on or to read; None while the client waits for us."""

    def make_room(self) -> None:
        """Close at once, for another one's sake."""


class Connections:
    """All connections of this process. `most_per_peer` None: as many as there may be at all.

    `on_limit` hears, once a minute, which bound is met.
    """

    def __init__(
        self,
        most: int,
        most_per_peer: int | None = None,
        *,
        peer_of: Callable[[str], str] = str,
        on_limit: Callable[[str, int], None] = lambda *_: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most, self.most_per_peer = most, most if most_per_peer is None else min(most, most_per_peer)
        self.is_draining = False  # /readyz says so, and every response is its connection's last
        self.is_ending = False  # every response is its connection's last
        self._peer_of_address, self._on_limit, self._clock = peer_of, on_limit, clock
        self._all = _Group()
        self._peers: dict[str, _Group] = {}
        self._peer_of: dict[Connection, str] = {}
        self._quiet_until: dict[str, float] = {}

    def __len__(self) -> int:
        """Count them."""
        return len(self._peer_of)

    def opened(self, connection: Connection, address: str) -> bool:
        """Take in a new connection, in another one's place if need be. False: there is no place; close it."""
        name = self._peer_of_address(address)
        peer = self._peers.get(name)
        has_place = (peer is None or self._has_place(peer, self.most_per_peer, "connections_per_peer")) and (
            self._has_place(self._all, self.most, "connections")
        )
        if has_place:
            self._peer_of[connection] = name
            for group in (self._all, self._peers.setdefault(name, _Group())):
                group.members[connection] = group.unproven[connection] = None
        return has_place

    def asked(self, connection: Connection) -> None:
        """Note that a connection has completed its first request."""
        name = self._peer_of.get(connection)
        if name is not None:
            for group in (self._all, self._peers[name]):
                group.unproven.pop(connection, None)

    def closed(self, connection: Connection) -> None:
        """Forget a connection; also one that was never taken in."""
        name = self._peer_of.pop(connection, None)
        if name is not None:
            for group in (self._all, self._peers[name]):
                group.members.pop(connection)
                group.unproven.pop(connection, None)
            if not self._peers[name].members:
                del self._peers[name]

    def drain(self) -> None:
        """Begin to end: this process is not ready any more, and takes leave of each client with its next response."""
        self.is_draining = self.is_ending = True

    def _has_place(self, group: "_Group", most: int, limit: str) -> bool:
        if len(group.members) < most:
            return True
        now = self._clock()
        if now >= self._quiet_until.get(limit, 0.0):
            self._quiet_until[limit] = now + _QUIET_SECONDS
            self._on_limit(limit, most)
        leaving = group.least()
        for connection in leaving:
            self.closed(connection)
            connection.make_room()
        return bool(leaving)


class _Group:
    """The connections that share a bound; ordered dictionaries, which give and take their oldest at once."""

    def __init__(self) -> None:
        self.members: OrderedDict[Connection, None] = OrderedDict()
        self.unproven: OrderedDict[Connection, None] = OrderedDict()

    def least(self) -> list[Connection]:
        """Name whom to close for a newcomer."""
        if self.unproven:
            return [next(iter(self.unproven))]
        waited_for = [(since, id(one), one) for one in self.members if (since := one.waiting_since) is not None]
        return [one for _, _, one in nsmallest(-(-len(waited_for) // _PART), waited_for)]
