"""Interruptions of Redis under load: at most a 503 with Retry-After, soon over; nothing is lost or done twice."""

import asyncio
import contextlib
import threading
from collections import Counter

import pytest
import redis as redis_py

from tests.redis_client.servers import cluster, server
from tests.redis_client.servers import eventually as wait_for

NUMBERS = [f"+1415555{number:04d}" for number in range(24)]
SOON_SECONDS = 5  # a third of a second in practice; the rest is for a busy machine


@contextlib.contextmanager
def killed_connections(node):
    """CLIENT KILL of every connection."""
    node.admin.execute_command("CLIENT KILL TYPE NORMAL")
    yield


@contextlib.contextmanager
def flushed_scripts(node):
    """SCRIPT FLUSH."""
    node.admin.script_flush()
    yield


@contextlib.contextmanager
def full(node):
    """OOM: every write is refused."""
    node.admin.config_set("maxmemory", 1)
    yield
    node.admin.config_set("maxmemory", 0)


@contextlib.contextmanager
def demoted(node):
    """READONLY: it becomes a replica."""
    node.admin.replicaof("127.0.0.1", 1)
    yield
    node.admin.replicaof("no", "one")


@contextlib.contextmanager
def busy(node):
    """BUSY: another client's script does not end."""
    node.admin.config_set("busy-reply-threshold", 50)
    other = redis_py.Redis(port=node.port, protocol=2)

    def loop():
        with contextlib.suppress(redis_py.RedisError):
            other.eval("while true do end", 0)

    script = threading.Thread(target=loop)
    script.start()

    def is_busy():
        try:
            node.admin.ping()
        except redis_py.exceptions.ResponseError:
            return True
        return False

    try:
        wait_for(is_busy)
        yield
    finally:
        node.admin.script_kill()
        script.join()
        other.close()


@contextlib.contextmanager
def restarted(node):
    """Kill -9, and a restart from the append-only file."""
    node.kill()
    yield
    node.start()


QUIET = {killed_connections: {200, 503}, flushed_scripts: {200}}


async def check(service, verification_id, code, verdicts):
    """Check a code; count the verdict, and return the status. A 503 has Retry-After."""
    path = f"/v1/verifications/{verification_id}/verify"
    status, body, headers = await service.call("POST", path, {"code": code})
    if status == 503:
        assert int(headers["Retry-After"]) >= 1
    else:
        verdicts[verification_id, body["verdict"]] += 1
    return status


async def issued_codes(service):
    """Issue to every number; return the codes by id."""
    ids = [(await service.issue(number))["id"] for number in NUMBERS]
    return {one: service.codes(number)[0] for one, number in zip(ids, NUMBERS, strict=True)}


async def all_consumed_once(service, codes, verdicts, wait):
    """Assert that the service recovers soon, each code is approved at most once, each message confirmed once."""

    async def is_back():
        return (await service.call("GET", f"/v1/verifications/{next(iter(codes))}"))[0] == 200

    assert await wait(is_back, seconds=SOON_SECONDS)
    for _ in range(2):
        assert {await check(service, *one, verdicts) for one in codes.items()} == {200}
    assert {verdict for _, verdict in verdicts} <= {"approved", "used"}
    assert max(count for (_, verdict), count in verdicts.items() if verdict == "approved") == 1
    assert all(verdicts[one, "used"] for one in codes)
    assert await wait(lambda: service.confirmed() == {message.sid for message in service.messages(to=None)}, seconds=15)
    assert {message.feedback_posts for message in service.messages(to=None)} == {1}


@pytest.mark.parametrize("interruption", [killed_connections, flushed_scripts, full, demoted, busy, restarted])
async def test_an_interruption_costs_a_503_at_most(start, tmp_path, eventually, interruption):
    """Before, during and after: 200 or 503 with Retry-After; then every code is approved once and confirmed once."""
    with server(tmp_path / "redis", "--appendonly", "yes", "--appendfsync", "always") as node:
        service = await start(redis_url=node.url)
        codes, verdicts = await issued_codes(service), Counter()
        with interruption(node):
            statuses = await asyncio.gather(*(check(service, *one, verdicts) for one in codes.items()))
        assert set(statuses) <= QUIET.get(interruption, {503})
        await all_consumed_once(service, codes, verdicts, eventually)


def test_a_backup_is_restored_as_documented(tmp_path):
    """An RDB file with `appendonly yes` loads nothing; with the steps of docs/operations.md it is loaded, and stays."""
    with server(tmp_path / "old") as old:
        old.admin.set("otp:keys", "kept")
        old.admin.save()
    backup = (tmp_path / "old" / "dump.rdb").read_bytes()
    for name in ("wrong", "right"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dump.rdb").write_bytes(backup)
    with server(tmp_path / "wrong", "--appendonly", "yes") as wrong:
        assert wrong.admin.dbsize() == 0
    with server(tmp_path / "right") as right:
        assert right.admin.get("otp:keys") == b"kept"
        right.admin.config_set("appendonly", "yes")
        wait_for(lambda: right.admin.info("persistence")["aof_rewrite_in_progress"] == 0)
        assert right.admin.info("persistence")["aof_enabled"] == 1
    with server(tmp_path / "right", "--appendonly", "yes") as right:
        assert right.admin.get("otp:keys") == b"kept"


async def test_a_planned_failover_of_a_cluster_loses_nothing(start, tmp_path, eventually):
    """CLUSTER FAILOVER under load: 200 or 503 with Retry-After, and every code is approved and confirmed once."""
    with cluster(tmp_path, (0, 16383), (1, 0)) as (primary, replica):
        service = await start(redis_url=f"redis+cluster://127.0.0.1:{primary.port}")
        own_id = primary.admin.execute_command("CLUSTER MYID")
        replica.admin.execute_command("CLUSTER REPLICATE", own_id)
        wait_for(lambda: primary.admin.execute_command("CLUSTER REPLICAS", own_id))
        wait_for(lambda: replica.admin.info("replication").get("master_link_status") == "up")
        codes, verdicts = await issued_codes(service), Counter()
        replica.admin.execute_command("CLUSTER FAILOVER")
        statuses = await asyncio.gather(*(check(service, *one, verdicts) for one in codes.items()))
        assert set(statuses) <= {200, 503}
        assert await eventually(lambda: replica.admin.info("replication")["role"] == "master", seconds=15)
        await all_consumed_once(service, codes, verdicts, eventually)
