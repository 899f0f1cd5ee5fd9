"""`check` compares OTP_WAIT_REPLICAS with the replicas of Redis, and says what a failover could lose."""

import pytest

from service.core.store_health import StoreCause
from service.diagnosis import examine
from service.diagnosis.replicas import replica_findings, wait_findings
from service.redis_client import WaitPolicy, open_redis_client
from service.store.faults import FIXES
from service.store.scripts import Scripts
from tests.redis_client.servers import replicated_server, server


@pytest.fixture(scope="module")
def primary(tmp_path_factory):
    """Run a primary with one replica."""
    folder = tmp_path_factory.mktemp("replicas")
    with replicated_server(folder) as (running, _):
        yield running


async def found(url, waited_for):
    """Return the level and the text of the findings."""
    client = await open_redis_client(url, client_name="tests")
    try:
        lines = (line.partition(":") for line in (await client.command("INFO")).decode().splitlines())
        infos = [{name: value for name, _, value in lines}]
        findings = replica_findings(waited_for, infos)
        return [(finding.level, finding.text) for finding in findings]
    finally:
        await client.close()


async def test_replicas_that_are_not_waited_for_are_a_risk(primary):
    """Without the setting, a warning says what a failover loses, and what to set."""
    [(level, text)] = await found(primary.url, 0)
    assert level == "warn"
    assert "A failover can lose approvals" in text
    assert "Set OTP_WAIT_REPLICAS=1." in text


def test_more_replicas_than_are_waited_for_are_a_risk():
    """One that was not waited for may be promoted."""
    infos = [{"slave0": "ip=1,state=online", "slave1": "ip=2,state=online"}]
    [finding] = replica_findings(1, infos)
    assert (finding.level, "Set OTP_WAIT_REPLICAS=2." in finding.text) == ("warn", True)


async def test_too_few_replicas_are_an_error(primary):
    """Every approval would get 503. A replica that is still loading does not count."""
    [(level, text)] = await found(primary.url, 2)
    assert (level, "has 1 replicas" in text) == ("error", True)
    [finding] = replica_findings(1, [{"slave0": "ip=1,state=wait_bgsave"}])
    assert finding.level == "error"


async def test_check_looks_at_the_replicas(running):
    """`otp-service check` compares the setting with the Redis of the service, which has none here."""
    found = await examine(running.settings.model_copy(update={"otp_wait_replicas": 1}))
    assert [each.level for each in found if "OTP_WAIT_REPLICAS is 1" in each.text] == ["error"]


async def test_enough_replicas_are_fine(primary):
    """The number is confirmed, with what a failover costs."""
    [(level, text)] = await found(primary.url, 1)
    assert (level, "1 of 1 replicas" in text) == ("ok", True)
    assert "after a failover until the old primary follows the new one, they get 503" in text


async def tried(url, waited_for=1, *, is_working=True):
    """Return the level and the text of the findings of a wait."""
    client = await open_redis_client(url, client_name="tests", wait=WaitPolicy(waited_for, 500))
    infos = [{"slave0": "ip=1,state=online"}] * waited_for
    try:
        findings = await wait_findings(Scripts(client), waited_for, infos, is_working=is_working)
        return [(finding.level, finding.text) for finding in findings]
    finally:
        await client.close()


async def test_a_replica_that_does_not_follow_is_an_error(tmp_path):
    """INFO calls a frozen replica online, so a wait is tried. If it fails, or Redis does not work, nothing is fine."""
    with replicated_server(tmp_path) as (primary, replica):
        assert [level for level, _ in await tried(primary.url)] == ["ok"]
        assert await tried(primary.url, is_working=False) == []
        replica.freeze()
        [(level, text)] = await tried(primary.url)
    assert level == "error"
    assert text == f"Redis, all partitions: not_replicated. {FIXES[StoreCause.NOT_REPLICATED]}"


async def test_an_engine_that_refuses_to_wait_is_an_error(tmp_path):
    """The cause is that of the engine, with its fix."""
    with server(tmp_path / "redis", "--rename-command", "WAIT", "") as running:
        [(level, text)] = await tried(running.url)
    assert (level, text.startswith("Redis, all partitions: unknown_command.")) == ("error", True)
