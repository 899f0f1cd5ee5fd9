"""The connections of one process: how many may be open, which one to close for a new one, and draining.

Opening a connection needs no credential, and each one costs a descriptor and memory. So there is a limit for the
process and one for each peer; `peer_of` says which addresses are one peer. At a limit, a new connection replaces the
oldest one that has never completed a request, else those that have waited the longest, for their clients or for their
turn (`deferred`). It is refused only if the requests of all are being handled. So open connections cannot exclude new
clients, and a peer at its limit loses only its own connections.

The protocol reports what happens (`opened`, `asked`, `closed`); this module never sees a request.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from heapq import nsmallest
from typing import Protocol

_QUIET_SECONDS = 60.0  # between two log lines about the same limit
_PART = (
    16  # finding them takes a walk through all, so each walk closes a sixteenth of those that wait for their clients
)


class Connection(Protocol):
    """A connection."""

    @property
    def waiting_since(self) -> float | None:
        """Since when it waits for its client, or for its turn; None if its request is being handled."""

    def make_room(self) -> None:
        """Close at once, in favour of another connection."""


class Connections:
    """All connections of this process. `most_per_peer` None: no limit for a peer.

    `on_limit` is called with the name and value of a limit that is reached, at most once a minute.
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
        self.is_draining = False  # /readyz reports it, and every response is its connection's last
        self.is_ending = False  # every response is its connection's last
        self._peer_of_address, self._on_limit, self._clock = peer_of, on_limit, clock
        self._all = _Group()
        self._peers: dict[str, _Group] = {}
        self._peer_of: dict[Connection, str] = {}
        self._quiet_until: dict[str, float] = {}

    def __len__(self) -> int:
        """Return their number."""
        return len(self._peer_of)

    def opened(self, connection: Connection, address: str) -> bool:
        """Add a new connection, closing others for it if necessary. False: there is no place for it."""
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
        """Remove a connection. One that was never added is ignored."""
        name = self._peer_of.pop(connection, None)
        if name is not None:
            for group in (self._all, self._peers[name]):
                group.members.pop(connection)
                group.unproven.pop(connection, None)
            if not self._peers[name].members:
                del self._peers[name]

    def drain(self) -> None:
        """Begin to drain: this process is no longer ready, and closes each connection after its next response."""
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
    """The connections that share a limit. An OrderedDict finds and removes its oldest item in constant time."""

    def __init__(self) -> None:
        self.members: OrderedDict[Connection, None] = OrderedDict()
        self.unproven: OrderedDict[Connection, None] = OrderedDict()

    def least(self) -> list[Connection]:
        """List the connections to close for a new one."""
        if self.unproven:
            return [next(iter(self.unproven))]
        waited_for = [(since, id(one), one) for one in self.members if (since := one.waiting_since) is not None]
        return [one for _, _, one in nsmallest(-(-len(waited_for) // _PART), waited_for)]
