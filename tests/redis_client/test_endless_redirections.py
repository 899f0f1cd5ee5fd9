"""Nodes of a cluster that do not agree: each call ends in time, at a bounded price, and works again later."""

import asyncio
import random
import time
from functools import partial

import pytest
from redis.exceptions import RedisError

from service.core.store_health import StoreCause
from service.redis_client import PreparedScript, Script, WaitPolicy
from service.store.faults import fault_of
from tests.conftest import eventually
from tests.redis_client.fake_cluster import FakeCluster, redirection
from tests.redis_client.servers import opened

COUNT = Script("count", "#!lua\nreturn {redis.call('INCR', KEYS[1])}")
PREPARED = PreparedScript(COUNT, [None], [])
KEY, OTHER_KEY = "{a}", "{b}"  # one on each node
CALLS = {
    "command": lambda redis: redis.command("GET", KEY, key=KEY),
    "script": lambda redis: redis.run(COUNT, [KEY], []),
    "prepared": lambda redis: redis.run_prepared(PREPARED, KEY, [KEY.encode()]),
    "run_each": lambda redis: redis.run_each(COUNT, [(KEY, []), (OTHER_KEY, [])]),
    "run_and_wait": lambda redis: redis.run_and_wait(COUNT, [KEY], []),
    "command_and_wait": lambda redis: redis.command_and_wait("SET", KEY, 1, key=KEY),
}
TIMEOUT_SECONDS, WAIT_MS = 1.0, 50
LONGEST_SECONDS = 3.0  # 1.1 s, and a busy machine
EACH = 5  # of each call at once
KEYS_OF_CALLS = len(CALLS) + 1  # `run_each` has two
PAUSE_SECONDS = 0.25  # longer than between two requests for the slot map
MOST_TRIES = 20  # of a command within its timeout


def redirecting(redirect):
    """Return the fault of nodes that answer every command in this way."""
    return lambda cluster: setattr(cluster, "redirect", partial(redirect, cluster))


def to_other(word):
    return redirecting(lambda cluster, node, slot: redirection(word, slot, cluster.other(node).port))


def to_itself(word, host):
    return redirecting(lambda _, node, slot: redirection(word, slot, node.port, host))


def to_nobody(word):
    return redirecting(lambda *about: redirection(word, about[-1], 1))  # nothing listens there


def always(reply):
    return redirecting(lambda *_: reply)


def another_name():
    """Return this machine's name in one of many spellings: an address that the client has not seen."""
    return "".join(random.choice((letter, letter.upper())) for letter in "localhost")


def to_another_name(cluster):
    """Redirect, and let the slot map name other addresses each time, behind which are the nodes."""
    cluster.redirect = lambda node, slot: redirection("MOVED", slot, cluster.other(node).port, another_name())
    cluster.slot_map = lambda: cluster.ranges(another_name().encode())


def without_nodes(cluster):
    to_other("MOVED")(cluster)
    cluster.slot_map = lambda: b"*0\r\n"


def with_dead_nodes(cluster):
    to_other("MOVED")(cluster)
    cluster.slot_map = lambda: cluster.ranges(port=1)


def with_swapped_nodes(cluster):
    to_other("MOVED")(cluster)

    def swapped():
        one, two = cluster.nodes
        one.port, two.port = two.port, one.port
        return cluster.ranges()

    cluster.slot_map = swapped


FAULTS = {
    "MOVED to each other": to_other("MOVED"),
    "ASK to each other": to_other("ASK"),
    "TRYAGAIN": always(b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n"),
    "MOVED to nobody": to_nobody("MOVED"),
    "ASK to nobody": to_nobody("ASK"),
    "MOVED without a host": to_itself("MOVED", ""),
    "ASK without a host": to_itself("ASK", ""),
    "MOVED to ?": to_itself("MOVED", "?"),
    "MOVED to a new name": to_another_name,
    "MOVED of another slot": always(b"-MOVED 99999 127.0.0.1:1\r\n"),
    "unreadable": always(b"-MOVED\r\n"),
    "a slot map without nodes": without_nodes,
    "a slot map of dead nodes": with_dead_nodes,
    "a slot map that changes": with_swapped_nodes,
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_nodes_that_never_agree(fault):
    """Each call ends in time with an error of a known cause, at a bounded price; once the nodes agree, all work again.

    One client knows the nodes before, another one meets them like this.
    """
    async with FakeCluster() as cluster, client_of(cluster) as known, client_of(cluster) as new:

        async def failures():
            return errors([one for each in await asyncio.gather(results(known), results(new)) for one in each])

        async def work():
            return not await failures()

        assert not errors(await results(known))
        fault(cluster)
        for _ in range(2):  # the second time they have learned from the first
            before = cluster.commands
            found = await failures()
            assert len(found) == 2 * KEYS_OF_CALLS * EACH
            assert not {fault_of(error).cause for error in found} & {StoreCause.UNKNOWN, StoreCause.MOVED}
            assert cluster.commands - before <= 2 * MOST_TRIES * KEYS_OF_CALLS * EACH
        cluster.heal()
        await asyncio.sleep(PAUSE_SECONDS)
        assert await eventually(work)
        assert await work()


def client_of(cluster):
    return opened(cluster.url, timeout_seconds=TIMEOUT_SECONDS, wait=WaitPolicy(1, WAIT_MS))


async def results(redis):
    """Make each call several times at once; return the results, which must be there in time."""
    names = [name for name in CALLS for _ in range(EACH)]
    return await asyncio.gather(*map(partial(timed, redis), names))


async def timed(redis, name):
    """Make a call; return its result or its error."""
    began = time.monotonic()
    try:
        return await CALLS[name](redis)
    except RedisError as error:
        return error
    finally:
        assert time.monotonic() - began < LONGEST_SECONDS, name


def errors(found):
    """Return the errors, those of `run_each` by key."""
    flat = [one for result in found for one in (result if isinstance(result, list) else [result])]
    return [one for one in flat if isinstance(one, RedisError)]


async def test_a_node_without_a_name_redirects_to_its_own_host():
    """An empty host, and the `?` of a node without the preferred host name, mean the host that replied."""
    for host in ("", "?"):
        async with FakeCluster() as cluster, opened(cluster.url, timeout_seconds=TIMEOUT_SECONDS) as redis:
            cluster.redirect = lambda node, slot, host=host: (
                redirection("MOVED", slot, cluster.nodes[1].port, host) if node is cluster.nodes[0] else b"+moved\r\n"
            )
            assert await redis.command("GET", KEY, key=KEY) == b"moved"
            assert await redis.command("GET", OTHER_KEY, key=OTHER_KEY) == b"moved"


async def test_nodes_with_new_addresses_leave_no_connections():
    """When nodes get other addresses, those to their earlier ones are closed, also those on which calls waited."""
    async with FakeCluster() as cluster, client_of(cluster) as redis:
        assert not errors(await results(redis))
        for _ in range(5):
            name = another_name()

            def renamed(name=name):
                cluster.redirect = None
                return cluster.ranges(name.encode())

            await asyncio.sleep(PAUSE_SECONDS)
            cluster.slot_map = renamed
            cluster.redirect = lambda node, slot, name=name: redirection("MOVED", slot, node.port, name)
            assert not errors(await results(redis))
            assert cluster.redirect is None, "the client has asked for the slot map"
            assert not errors(await results(redis))
        assert await eventually(lambda: cluster.open_connections <= 2 * len(cluster.nodes)), "one of two kinds for each"
