"""A network of the test's own drops packets without a word, between servers only or of everybody."""

import contextlib
import socket
from types import SimpleNamespace

import pytest

from tests.failover import network


def reaches(client, server):
    """Whether a connection from an address to a listener is accepted; a refusal is an error."""
    try:
        with socket.create_connection(server.getsockname(), timeout=0.3, source_address=(client, 0)):
            return True
    except TimeoutError:
        return False


@pytest.mark.slow
def test_packets_are_dropped_between_servers_only_or_of_everybody(request):
    """A server that is cut off is reached by clients only, one that is taken away by nobody, until it is healed."""
    if not network.is_own():
        network.run_test(request.node.nodeid)
        return
    with contextlib.ExitStack() as stack:
        one, other = (stack.enter_context(socket.create_server((network.host(place), 0))) for place in range(2))
        ways = [(network.CLIENT, one), (network.host(1), one), (network.host(0), other), (network.host(2), other)]
        for treat, expected in (
            (network.cut_off, [True, False, False, True]),
            (network.take_away, [False, False, False, True]),
        ):
            treat(SimpleNamespace(host=network.host(0)))
            assert [reaches(*way) for way in ways] == expected, treat.__name__
            network.heal()
            assert [reaches(*way) for way in ways] == [True] * 4
