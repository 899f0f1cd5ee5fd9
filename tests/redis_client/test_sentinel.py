"""Sentinel: the client connects to the primary, and follows it after a failover."""

import asyncio
import time
from contextlib import ExitStack, contextmanager, suppress

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from service.redis_client import Script
from service.redis_client.connecting import Connector
from service.redis_client.sentinel import Sentinels
from service.redis_client.url import read_url
from tests.free_ports import free_port
from tests.redis_client.servers import eventually, opened, server

NEWEST = b"*2\r\n$12\r\nconfig-epoch\r\n$1\r\n9\r\n"
NAMED = b"*2\r\n$9\r\n127.0.0.1\r\n$1\r\n1\r\n"
COUNT = Script("count", "#!lua\nreturn redis.call('INCR', KEYS[1])")


@contextmanager
def sentinel_service(folder):
    """Run a primary, its replica and a Sentinel that monitors both."""
    with server(folder / "primary") as primary, server(folder / "replica") as replica:
        replica.admin.replicaof("127.0.0.1", primary.port)
        config = folder / "sentinel.conf"
        config.write_text(
            f"sentinel monitor main 127.0.0.1 {primary.port} 1\nsentinel down-after-milliseconds main 500"
        )
        with server(folder / "sentinel", program=(str(config), "--sentinel")) as sentinel:
            eventually(lambda: replica.admin.info("replication")["master_link_status"] == "up")
            eventually(lambda: sentinel.admin.execute_command("SENTINEL REPLICAS", "main"))
            yield primary, replica, sentinel


def sentinels(url):
    return Sentinels(Connector(read_url(url), client_name="tests"))


async def test_only_the_primary_is_connected_to(tmp_path):
    """A Sentinel that is down is skipped; an unknown service and a node that is a replica are refused."""
    with sentinel_service(tmp_path) as (primary, _, sentinel):
        url = f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}"
        writer = await sentinels(f"{url}/main").connect()
        assert writer.get_extra_info("peername")[1] == primary.port
        writer.transport.abort()
        with pytest.raises(RedisConnectionError, match="unknown service"):
            await sentinels(f"{url}/other").connect()
        primary.admin.replicaof("127.0.0.1", free_port())
        with pytest.raises(RedisConnectionError, match="not the primary"):
            await sentinels(f"{url}/main").connect()


async def test_no_sentinel_at_all_is_a_connection_error():
    """If no Sentinel replies, a command fails at once with that reason."""
    async with opened(f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{free_port()}/main") as redis:
        with pytest.raises(RedisConnectionError, match="no Sentinel names a primary for 'main'"):
            await redis.ping()


@contextmanager
def sentinels_that_disagree(folder):
    """Run two nodes, a Sentinel that still names the first one, and two that name the second since a failover."""
    with server(folder / "old") as old, server(folder / "new") as new, ExitStack() as stack:
        ports = []
        for number, (node, epoch) in enumerate([(old, 0), (new, 1), (new, 1)]):
            config = folder / f"sentinel{number}.conf"
            # A quorum that is never reached: no Sentinel changes anything.
            config.write_text(
                f"sentinel monitor main 127.0.0.1 {node.port} 9\nsentinel config-epoch main {epoch}\n"
                "sentinel down-after-milliseconds main 60000\n"
            )
            program = (str(config), "--sentinel")
            ports.append(stack.enter_context(server(folder / f"sentinel{number}", program=program)).port)
        yield old, new, ports


@pytest.mark.parametrize("fault", ["accepts writes", "is a replica", "is frozen", "is dead"])
async def test_a_sentinel_that_was_left_behind_misleads_nobody(tmp_path, fault):
    """Commands reach the node of the newest configuration, wherever the Sentinel of an older one stands in the URL."""
    with sentinels_that_disagree(tmp_path) as (old, new, ports):
        match fault:
            case "is a replica":
                old.admin.replicaof("127.0.0.1", free_port())
            case "is frozen":
                old.freeze()
            case "is dead":
                old.kill()
        for order in (ports, ports[::-1], ports[:2]):
            new.admin.flushall()
            hosts = ",".join(f"127.0.0.1:{port}" for port in order)
            async with opened(f"redis+sentinel://{hosts}/main") as redis:
                assert await redis.run(COUNT, ["n"], []) == 1
                assert new.admin.get("n") == b"1"


async def test_of_two_nodes_that_are_named_alike_the_primary_is_connected_to(tmp_path):
    """Sentinels of one configuration that name different nodes: the one that is a primary is found."""
    with sentinel_service(tmp_path) as (primary, replica, _), ExitStack() as stack:
        hosts = []
        for node in (replica, primary):
            config = tmp_path / f"of{node.port}.conf"
            config.write_text(f"sentinel monitor other 127.0.0.1 {node.port} 9")
            one = stack.enter_context(server(tmp_path / f"of{node.port}", program=(str(config), "--sentinel")))
            hosts.append(f"127.0.0.1:{one.port}")
        async with opened(f"redis+sentinel://{','.join(hosts)}/other") as redis:
            assert await redis.run(COUNT, ["n"], []) == 1
            assert primary.admin.get("n") == b"1"


async def test_a_frozen_sentinel_leaves_time_for_the_command(tmp_path):
    """While one of two Sentinels is frozen, the first command connects and succeeds within its timeout."""
    with sentinel_service(tmp_path) as (_, _, sentinel), server(tmp_path / "frozen") as frozen:
        frozen.freeze()
        async with opened(f"redis+sentinel://127.0.0.1:{frozen.port},127.0.0.1:{sentinel.port}/main") as redis:
            assert await redis.run(COUNT, ["n"], []) == 1


@pytest.mark.parametrize(
    ("state", "address"),
    [
        (b"*2\r\n$12\r\nconfig-epoch\r\n$1\r\nx\r\n", NAMED),
        (b"*2\r\n*1\r\n:1\r\n$1\r\n1\r\n", NAMED),
        (NEWEST, b"*2\r\n$9\r\n127.0.0.1\r\n$2\r\nzz\r\n"),
        (NEWEST, b"*2\r\n$-1\r\n$-1\r\n"),
        (NEWEST, b"*1\r\n$9\r\n127.0.0.1\r\n"),
        (NEWEST, b"*2\r\n$1\r\n\xff\r\n$1\r\n1\r\n"),
        (NEWEST, b"+OK\r\n"),
        (NEWEST, b"?\r\n"),
    ],
)
async def test_a_sentinel_that_answers_nonsense_is_skipped(tmp_path, state, address):
    """One of two Sentinels answers in a form that none has: commands succeed, and the primary is watched."""

    async def answer(reader, writer):
        with suppress(ConnectionError):
            while words := await reader.read(1000):
                writer.write(address if b"GET-MASTER" in words else state if b"MASTER" in words else b"+OK\r\n")
        writer.close()

    with sentinel_service(tmp_path) as (_, _, sentinel):
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as liar:
            url = f"redis+sentinel://127.0.0.1:{liar.sockets[0].getsockname()[1]},127.0.0.1:{sentinel.port}"
            async with opened(f"{url}/main") as redis:
                assert await redis.run(COUNT, ["n"], []) == 1
            found = sentinels(f"{url}/main")
            writer = await found.connect()
            writer.transport.abort()
            watching = asyncio.create_task(found.watch(lambda: None))
            await asyncio.wait([watching], timeout=1.2)
            assert not watching.done()
            watching.cancel()
            await asyncio.wait([watching])
            async with opened(f"{url.partition(',')[0]}/main") as redis:
                with pytest.raises(RedisConnectionError, match="no Sentinel names a primary"):
                    await redis.ping()
            await asyncio.sleep(0.01)  # for the sockets to close


@pytest.mark.slow
async def test_commands_follow_a_planned_failover(tmp_path):
    """Within seconds after SENTINEL FAILOVER commands reach the new primary, although the old one still replies."""
    with sentinel_service(tmp_path) as (_, replica, sentinel):
        async with opened(f"redis+sentinel://127.0.0.1:{sentinel.port}/main") as redis:
            assert await redis.run(COUNT, ["n"], []) == 1
            await asyncio.to_thread(eventually, lambda: replica.admin.get("n") == b"1")
            await asyncio.to_thread(eventually, lambda: failover_began(sentinel))
            await followed(redis, replica, seconds=4)
            assert await redis.run(COUNT, ["n"], []) == 2


@pytest.mark.slow
async def test_commands_follow_when_the_primary_is_killed(tmp_path):
    """After kill -9 of the primary, commands fail with ConnectionError and then reach the promoted node."""
    with sentinel_service(tmp_path) as (primary, replica, sentinel):
        async with opened(f"redis+sentinel://127.0.0.1:{sentinel.port}/main") as redis:
            await redis.ping()
            primary.kill()
            with pytest.raises(RedisConnectionError):
                await redis.ping()
            await followed(redis, replica, seconds=4)


def failover_began(sentinel):
    try:
        return sentinel.admin.execute_command("SENTINEL FAILOVER", "main")
    except ResponseError:  # Sentinel does not know yet that the replica is in sync
        return False


async def followed(redis, replica, *, seconds):
    """Wait for the promotion, then require that writes reach that node in the given time."""
    await asyncio.to_thread(eventually, lambda: replica.admin.info("replication")["role"] == "master", seconds=30)
    deadline = time.monotonic() + seconds
    while replica.admin.get("after") is None:
        assert time.monotonic() < deadline
        (result,) = await asyncio.gather(redis.command("SET", "after", 1), return_exceptions=True)
        assert result == b"OK" or isinstance(result, RedisError)
        await asyncio.sleep(0.05)
