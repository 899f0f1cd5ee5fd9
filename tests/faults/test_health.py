"""Health reflects the work (promise 15): /readyz, /metrics and `check` report what issues and checks experience."""

import asyncio
import re
import shutil
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis.crc import key_slot

from service.core.store_health import StoreCause
from service.diagnosis import examine
from tests.absent import absent
from tests.redis_client import servers
from tests.redis_client.servers import cluster

PARTITIONS = "0123456789abcdef"
PAGE = (Path(__file__).parents[2] / "SECURITY.md").read_text("utf-8")
[RULES] = re.findall(r"^ACL SETUSER otp (.*)$", PAGE, re.MULTILINE)


async def statuses(service, count=48):
    """Issue to many numbers; return each partition's statuses, where the issue's own partition is known."""
    numbers = [f"+1415555{number:04d}" for number in range(count)]
    responses = await asyncio.gather(*(service.call("POST", "/v1/verifications", {"to": to}) for to in numbers))
    return [status for status, _, _ in responses]


async def readiness(service):
    """Probe; return the status and the body."""
    status, body, _ = await service.call("GET", "/readyz", key="nobody")
    return status, body


async def metrics(service):
    """Scrape; return {(sample, labels…): value}."""
    async with service.http.get("/metrics") as response:
        assert response.status == 200
        text = await response.text()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, *sample.labels.values()): sample.value for sample in samples}


async def complaints(service, level="error"):
    """Run `check` on the settings of a service; return its findings on Redis at that level."""
    findings = await examine(service.settings)
    return [one.text for one in findings if one.level == level and one.text.startswith("Redis")]


def full(node):
    """Fill the memory."""
    node.admin.config_set("maxmemory", 1)
    return lambda: node.admin.config_set("maxmemory", 0)


def demoted(node):
    """Make it a replica of a primary that does not exist."""
    node.admin.replicaof("127.0.0.1", 1)
    return lambda: node.admin.replicaof("no", "one")


def without_scripts(node):
    """Remove the permission to run scripts from all users."""
    node.admin.execute_command("ACL", "SETUSER", "default", "-evalsha", "-eval")
    return lambda: node.admin.execute_command("ACL", "SETUSER", "default", "+@all")


def with_another_prefix(node):
    """Allow all users other keys only."""
    node.admin.execute_command("ACL", "SETUSER", "default", "resetkeys", "~other:*")
    return lambda: node.admin.execute_command("ACL", "SETUSER", "default", "allkeys")


def alone(node):
    """Require a replica that does not exist."""
    node.admin.config_set("min-replicas-to-write", 1)
    return lambda: node.admin.config_set("min-replicas-to-write", 0)


@pytest.mark.parametrize(
    "fault",
    [
        (full, "out_of_memory", "raise maxmemory"),
        (demoted, "replica", "name the primary"),
        (without_scripts, "no_permission", "Missing: +evalsha."),
        (with_another_prefix, "no_permission", "Missing: ~otp:*."),
        (alone, "too_few_replicas", "min-replicas-to-write"),
    ],
    ids=lambda fault: fault[0].__name__,
)
async def test_a_redis_that_responds_but_does_not_work_is_not_ready(start, own_redis, eventually, fault):
    """PING works, issues get 503: so does /readyz; `check` and the metrics show the cause; once fixed, all works."""
    break_it, cause, fix = fault
    service = await start(redis_url=own_redis.url, otp_worker=False)
    assert (await readiness(service))[0] == 200
    undo = break_it(own_redis)
    assert set(await statuses(service, 4)) == {503}

    async def is_unready():
        status, body = await readiness(service)
        return body if status == 503 else None

    told = (await eventually(is_unready))["detail"]
    assert told.startswith(f"Partitions {' '.join(PARTITIONS)}: {cause}. ")
    assert fix in told
    [complaint] = await complaints(service)
    assert complaint.startswith(f"Redis, all partitions: {cause}. ")
    assert fix in complaint
    assert (await metrics(service))[("otp_partitions_unavailable", cause)] == 16
    undo()

    async def is_ready():
        return (await readiness(service))[0] == 200

    assert await eventually(is_ready)
    assert set(await statuses(service, 4)) == {201}

    async def counted():
        return (await metrics(service)).get(("otp_store_errors_total", cause), 0) >= 4

    assert await eventually(counted, seconds=15)
    assert await complaints(service) == []


async def test_a_cluster_node_used_as_a_single_server(start, tmp_path):
    """Half of the issues get a 503, so half of the partitions are listed, although every PING works; `check` fails."""
    with cluster(tmp_path, (0, 8191), (8192, 16383)) as nodes:
        node = nodes[key_slot(b"otp:keys") // 8192]
        service = await start(redis_url=node.url, otp_worker=False)
        status, body = await readiness(service)
        assert (status, body["store"]) == (200, "partly")
        [trouble] = body["unavailable"]
        assert trouble["cause"] == "moved"
        assert "write redis+cluster://" in trouble["fix"]
        for number in range(48):
            status, issued, _ = await service.call("POST", "/v1/verifications", {"to": f"+1415555{number:04d}"})
            if status == 201:
                assert issued["id"][3] not in trouble["partitions"]
        [complaint] = await complaints(service)
        assert complaint.startswith(f"Redis, partitions {' '.join(trouble['partitions'])}: moved. ")


async def test_a_cluster_with_a_dead_shard_is_ready_and_names_its_partitions(start, tmp_path, eventually):
    """One shard of two down: 200 with its partitions, within the time of one call; both down: 503."""
    lax = ("--cluster-require-full-coverage", "no")
    with cluster(tmp_path, (0, 8191), (8192, 16383), arguments=lax) as nodes:
        keeper = nodes[key_slot(b"otp:keys") // 8192]
        [other] = [node for node in nodes if node is not keeper]
        service = await start(redis_url=f"redis+cluster://127.0.0.1:{keeper.port}")
        assert (await readiness(service))[1]["store"] == "ok"
        other.freeze()
        await asyncio.sleep(1)  # the last result is cached for a second
        started = asyncio.get_running_loop().time()
        status, body = await readiness(service)
        assert asyncio.get_running_loop().time() - started < 1.9
        assert (status, body["store"], body["api_keys"]) == (200, "partly", "ok")
        # After the first time-out the connection is closed, and the commands that wait on it are told so.
        causes = {trouble["cause"] for trouble in body["unavailable"]}
        assert causes
        assert causes <= {"timeout", "connection_lost"}
        other.thaw()
        keeper.kill()
        other.kill()

        async def is_unready():
            return (await readiness(service))[0] == 503

        assert await eventually(is_unready)


async def test_a_user_without_info_works(start, own_redis):
    """A user that lacks only INFO can do all the work: ready, and `check` warns, but finds no error."""
    own_redis.admin.execute_command("ACL", "SETUSER", "otp", "on", ">p", "~otp:*", "+@all", "-info")
    service = await start(redis_url=f"redis://otp:p@127.0.0.1:{own_redis.port}", otp_worker=False)
    assert (await readiness(service))[1]["store"] == "ok"
    assert await complaints(service) == []
    [warning] = await complaints(service, "warn")
    assert "INFO" in warning
    assert "+info" in warning


async def test_waiting_for_replicas_needs_a_permission(start, own_redis):
    """Without WAIT every issue and approval fails: it is not ready, and `check` names +wait, also without INFO."""
    own_redis.admin.execute_command("ACL", "SETUSER", "otp", *RULES.replace("PASSWORD", "p").split())
    url = f"redis://otp:p@127.0.0.1:{own_redis.port}"
    assert (await readiness(await start(redis_url=url, otp_worker=False)))[0] == 200, "the control: nothing waits"
    service = await start(redis_url=url, otp_worker=False, otp_wait_replicas=1)
    status, body = await readiness(service)
    assert (status, "+wait" in body["detail"]) == (503, True)
    [complaint] = await complaints(service)
    assert complaint.endswith("Missing: +wait.")


async def test_a_permission_that_only_the_worker_needs(start, own_redis):
    """Without ZRANGEBYSCORE codes are checked, so it is ready; nothing would ever be confirmed, so `check` fails."""
    service = await start(redis_url=own_redis.url, otp_worker=False)
    own_redis.admin.execute_command("ACL", "SETUSER", "default", "-zrangebyscore")
    assert (await readiness(service))[0] == 200
    [complaint] = await complaints(service)
    assert complaint.endswith("Missing: +zrangebyscore.")


async def test_missing_permissions_for_the_limits(start, own_redis):
    """Permissions for the partitions alone are not enough: `check` finds that the limits cannot be counted."""
    service = await start(redis_url=own_redis.url, otp_worker=False)
    own_redis.admin.execute_command("ACL", "SETUSER", "default", "resetkeys", "~otp:{*", "~otp:keys")
    [complaint] = await complaints(service)
    assert complaint.startswith("Redis, API keys and limits: no_permission. ")
    assert complaint.endswith("Missing: ~otp:*.")


async def test_probes_do_not_slow_each_other(start, own_redis):
    """However many probes arrive, Redis runs one script a second for all of them."""
    service = await start(redis_url=own_redis.url, otp_worker=False)
    own_redis.admin.config_resetstat()
    assert {status for status, _ in await asyncio.gather(*(readiness(service) for _ in range(100)))} == {200}
    calls = own_redis.admin.info("commandstats")
    assert calls["cmdstat_hset"]["calls"] in (16, 32)  # one script, or two if the machine is slow


async def test_the_log_names_the_cause(start, own_redis):
    """A request that meets a failing Redis logs the cause, and so does the worker."""
    lines = []
    service = await start(redis_url=own_redis.url, event_log=lambda event, **fields: lines.append((event, fields)))
    own_redis.admin.config_set("maxmemory", 1)
    assert await statuses(service, 1) == [503]
    reasons = [str(fields["reason"]) for _, fields in lines if fields.get("reason")]
    assert any(f": {StoreCause.OUT_OF_MEMORY}" in reason for reason in reasons)


async def test_the_worker_logs_the_end_of_an_outage(start, own_redis, eventually, monkeypatch):
    """When Redis works again, one line of the log says so."""
    monkeypatch.setattr("service.core.outage_log._QUIET_SECONDS", 0.0)
    lines = []
    await start(redis_url=own_redis.url, event_log=lambda event, **_: lines.append(event))
    own_redis.admin.config_set("maxmemory", 1)
    assert await eventually(lambda: "worker_waits_for_store" in lines)
    own_redis.admin.config_set("maxmemory", 0)
    assert await eventually(lambda: "worker_continues" in lines)
    assert lines.index("worker_continues") > lines.index("worker_waits_for_store")


@pytest.mark.parametrize("program", [servers.VALKEY, shutil.which("redis-server")], ids=["valkey", "redis"])
async def test_the_permissions_on_the_security_page_are_enough_and_all_needed(
    start, tmp_path, monkeypatch, program, eventually
):
    """With the page's ACL line the loop closes and `check` warns of INFO only; without any permission it complains."""
    if program is None:
        absent("there is no redis-server here, so the rights are not tried with Redis itself")
    monkeypatch.setattr(servers, "SERVER", str(program))
    with servers.server(tmp_path / "redis") as node:
        node.admin.execute_command("ACL", "SETUSER", "otp", *RULES.replace("PASSWORD", "p").split())
        service = await start(redis_url=f"redis://otp:p@127.0.0.1:{node.port}")
        issued = await service.issue()
        assert (await service.verify(issued["id"], service.codes()[0]))["verdict"] == "approved"
        assert await eventually(service.confirmed)
        again = await service.issue("+14155550188")
        assert (await service.call("POST", f"/v1/verifications/{again['id']}/resend"))[0] == 200
        assert (await service.call("POST", f"/v1/verifications/{again['id']}/cancel"))[0] == 200
        assert (await readiness(service))[1]["confirming"] == "ok"
        assert await complaints(service) == []
        [warning] = await complaints(service, "warn")
        assert "+info" in warning
        for right in re.findall(r"\+(\w+)", RULES):
            node.admin.execute_command("ACL", "SETUSER", "otp", f"-{right}")
            node.admin.script_flush()  # as after a restart
            assert f"+{right}" in " ".join(await complaints(service)), right
            node.admin.execute_command("ACL", "SETUSER", "otp", f"+{right}")


async def test_the_permissions_on_the_security_page_are_enough_for_a_cluster(start, tmp_path):
    """With the additions of the page for a cluster the user works there too."""
    with cluster(tmp_path, (0, 8191), (8192, 16383)) as nodes:
        for node in nodes:
            rules = f"{RULES.replace('PASSWORD', 'p')} +cluster|slots +asking"
            node.admin.execute_command("ACL", "SETUSER", "otp", *rules.split())
        service = await start(redis_url=f"redis+cluster://otp:p@127.0.0.1:{nodes[0].port}")
        issued = await service.issue()
        assert (await service.verify(issued["id"], service.codes()[0]))["verdict"] == "approved"
        assert (await readiness(service))[1]["store"] == "ok"
        assert await complaints(service) == []
