"""One dead shard of a cluster affects only its share of the keys."""

import asyncio
from itertools import cycle, islice

import pytest
from redis.crc import key_slot

from service.http import authentication as auth
from tests.failover.engines import SLOTS, clustered
from tests.faults.shard_load import TIMEOUT_SECONDS, Load, compare
from tests.redis_client.servers import cluster

NUMBERS = [f"+1415555{number:04d}" for number in range(40)]
SHARDS = 3
# The defaults, but for those of one address and prefix.
LIMITS = {"otp_limit_day": "50000/1d", "otp_limit_country": "5000/1h", "otp_limit_key": "10000/1h"}
LIMITS |= {"otp_limit_ip": "20000/10m", "otp_limit_prefix": "20000/1h"}
WAIT_MS = 1000  # as long as a command on a frozen node, so that either wait shows


@pytest.mark.parametrize("death", ["freeze", "kill"])
async def test_without_the_shard_of_the_api_keys_the_others_work(start, tmp_path, monkeypatch, death):
    """Codes on live shards are approved with an old copy of the API keys; an unknown key gets a 503, not a 401."""
    for name in ("_OLDEST_SECONDS", "_PAUSE_SECONDS"):
        monkeypatch.setattr(auth, name, 0.1)
    lax = ("--cluster-require-full-coverage", "no")
    with cluster(tmp_path, (0, 8191), (8192, 16383), arguments=lax) as nodes:
        keeper = nodes[key_slot(b"otp:keys") // 8192]
        service = await start(redis_url=f"redis+cluster://127.0.0.1:{nodes[0].port}", otp_worker=False)
        issued = {(await service.issue(number))["id"]: service.codes(number)[0] for number in NUMBERS}
        living = [one for one in issued if nodes[key_slot(f"{{{one[3]}}}".encode()) // 8192] is not keeper]
        assert living
        getattr(keeper, death)()
        await asyncio.sleep(0.2)  # the copy is old now
        for one in living:
            assert (await service.verify(one, issued[one]))["verdict"] == "approved"
        status, problem, _ = await service.call("GET", f"/v1/verifications/{living[0]}", key="otp_sk_unknown")
        assert (status, problem["code"]) == (503, "store_unavailable")


@pytest.mark.alone
@pytest.mark.parametrize("replicas", [0, 1], ids=["does-not-wait", "waits"])
@pytest.mark.parametrize("death", ["freeze", "kill"])
async def test_a_dead_shard_costs_exactly_its_share(start, tmp_path, death, replicas):
    """Of three shards a primary and its replica die: their numbers get 503, all others are served in the usual time.

    The shard has the counter of the day, and perhaps others. So it is too if issues and checks wait for replicas: a
    wait on one node delays none on another.
    """
    homes = [_home(f"{each:x}") for each in range(16)]
    with clustered(tmp_path, "redis") as engine:
        waits = {"otp_wait_replicas": replicas, "otp_wait_ms": WAIT_MS}
        service = await start(redis_url=engine.url, otp_worker=False, **waits, **LIMITS)
        ids = {number: (await service.issue(number))["id"] for number in NUMBERS}
        primaries = engine.nodes[:SHARDS]
        dead = next(place for place, node in enumerate(primaries) if list(node.admin.scan_iter("otp:limit:day:*")))
        on_dead = {number for number in NUMBERS if homes[int(ids[number][3], 16)] == dead}
        load = Load(service, {number: (ids[number], service.codes(number)[0]) for number in NUMBERS})
        before = await load.run()
        for node in (engine.nodes[dead], engine.nodes[dead + SHARDS]):
            getattr(node, death)()
        await load.issue_all()  # the first sends wait for their counters, for as long as a command may take
        during = await load.run()
    assert all(request.is_served for request in before)
    lost = [request for request in during if not request.is_served]
    assert 0 < len(on_dead) < len(NUMBERS)
    assert {request.number for request in lost} == on_dead
    assert len(lost) * len(NUMBERS) == len(during) * len(on_dead), "all requests of these numbers, and no others"
    print(f"\n{death}: {homes.count(dead)} of 16 partitions and {len(lost)} of {len(during)} requests are lost")
    usual, living = ([each for each in requests if each.number not in on_dead] for requests in (before, during))
    print(*compare(usual, living), sep="\n")
    if death == "freeze":  # a killed node refuses connections, so nobody waits for it
        waiting = cycle([each for each in lost if each.seconds > TIMEOUT_SECONDS / 2])
        tenth = list(islice(waiting, len(living) // 9 + 1))
        with pytest.raises(AssertionError, match="one in ten waits"):
            compare(usual, living + tenth)


def _home(tag):
    return next(place for place in range(SHARDS) if key_slot(tag.encode()) < (place + 1) * SLOTS // SHARDS)
