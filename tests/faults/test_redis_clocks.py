"""`check` compares the clocks: of all Redis nodes, replicas included, and of its own machine."""

import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from service.diagnosis import examine
from service.store import clocks as redis_clocks
from tests.absent import absent
from tests.faults.test_health import RULES
from tests.free_ports import free_port
from tests.redis_client import servers
from tests.redis_client.servers import eventually, server


@pytest.fixture
def replica_of(tmp_path, monkeypatch):
    """Return a function that runs a replica with a wrong clock: a Valkey whose allocator loads libfaketime."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if library is None:
        absent("there is no libfaketime here, so no clock of Redis is set wrong")
    with ExitStack() as stack:

        def run(primary, seconds):
            faked = {"LD_PRELOAD": library, "FAKETIME": f"{seconds:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
            with monkeypatch.context() as around:
                around.setattr(servers, "SERVER", str(servers.VALKEY))
                for name, value in faked.items():
                    around.setenv(name, str(value))
                replica = stack.enter_context(server(tmp_path / "replica"))
            replica.admin.replicaof("127.0.0.1", primary.port)
            eventually(lambda: replica.admin.info("replication")["master_link_status"] == "up")
            eventually(lambda: primary.admin.info("replication")["slave0"]["state"] == "online")
            return replica

        yield run


async def about_clocks(service):
    """Run `check`; return (level, sentence) of its findings on clocks."""
    findings = await examine(service.settings)
    return [(one.level, one.text) for one in findings if "clock" in one.text]


@pytest.mark.parametrize(("seconds", "level"), [(0, None), (10, "warn"), (600, "error"), (-600, "error")])
async def test_a_replica_with_a_wrong_clock_is_found_before_it_takes_over(start, own_redis, replica_of, seconds, level):
    """Ten seconds are a warning, ten minutes an error, ahead or behind, with the effect of a failover."""
    service = await start(redis_url=own_redis.url, otp_worker=False)
    replica = replica_of(own_redis, seconds)
    assert abs(replica.admin.time()[0] - time.time() - seconds) < 5, "the control: its clock is so far off"
    said = await about_clocks(service)
    if level is None:
        assert said == []
        return
    [(told, sentence)] = said
    assert told == level
    nodes = [f"replica 127.0.0.1:{replica.port}", f"primary with port {own_redis.port}"]
    fast, slow = nodes if seconds > 0 else reversed(nodes)
    assert 0 < sentence.index(fast) < sentence.index(" ahead of ") < sentence.index(slow) < sentence.index("failover")


async def test_a_wrong_clock_of_its_own_machine_is_warned_of(running, monkeypatch):
    """An hour between this machine and Redis is one warning, and no error: Redis's clock is the one that counts."""
    assert await about_clocks(running) == []
    monkeypatch.setattr(redis_clocks, "time", SimpleNamespace(time=lambda: time.time() + 3600))
    monkeypatch.setattr("service.diagnosis.time", SimpleNamespace(time=lambda: time.time() + 3600))
    [(level, sentence)] = await about_clocks(running)
    assert (level, "this machine" in sentence, "3600 s" in sentence) == ("warn", True, True)


async def test_an_unreachable_replica_is_reported(start, own_redis, tmp_path):
    """A replica that this machine cannot reach is one warning, and does not prevent other checks."""
    service = await start(redis_url=own_redis.url, otp_worker=False)
    away = free_port()
    with server(tmp_path / "replica", "--replica-announce-port", str(away)) as replica:
        replica.admin.replicaof("127.0.0.1", own_redis.port)
        eventually(lambda: own_redis.admin.info("replication").get("slave0", {}).get("state") == "online")
        [(level, sentence)] = await about_clocks(service)
    assert (level, f"replica 127.0.0.1:{away}" in sentence) == ("warn", True)


async def test_a_user_with_the_documented_permissions_reads_the_clocks_of_replicas(start, own_redis, tmp_path):
    """A replica that answers this user is not reported; one that rejects it is, with the cause."""
    rules = [*RULES.replace("PASSWORD", "p").split(), "+info"]
    own_redis.admin.execute_command("ACL", "SETUSER", "otp", *rules)
    service = await start(redis_url=f"redis://otp:p@127.0.0.1:{own_redis.port}", otp_worker=False)
    with server(tmp_path / "replica") as replica:
        replica.admin.execute_command("ACL", "SETUSER", "otp", *rules)
        replica.admin.replicaof("127.0.0.1", own_redis.port)
        eventually(lambda: own_redis.admin.info("replication").get("slave0", {}).get("state") == "online")
        assert await about_clocks(service) == []
        replica.admin.execute_command("ACL", "DELUSER", "otp")
        [(level, sentence)] = await about_clocks(service)
    assert (level, "password_wrong" in sentence) == ("warn", True)
