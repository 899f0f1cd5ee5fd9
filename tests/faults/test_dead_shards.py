"""One dead shard of a cluster affects only its share of the keys."""

import asyncio
import contextlib
import statistics
import time

import pytest
from redis.crc import key_slot

from service.http import authentication as auth
from tests.redis_client.servers import cluster

NUMBERS = [f"+1415555{number:04d}" for number in range(40)]
TIMEOUT_SECONDS = 1.0  # of a call on a frozen shard


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


@pytest.mark.parametrize("death", ["freeze", "kill"])
async def test_a_dead_shard_costs_exactly_its_share(start, tmp_path, death):
    """Of three shards one dies: its third of issues and checks gets 503, all others succeed without waiting for it."""
    lax = ("--cluster-require-full-coverage", "no")
    with cluster(tmp_path, (0, 5460), (5461, 10922), (10923, 16383), arguments=lax) as nodes:
        ends = (5460, 10922, 16383)
        homes = {f"{each:x}": _home(f"{{{each:x}}}", nodes, ends) for each in range(16)}
        keeper = _home("otp:keys", nodes, ends)
        dead = next(node for node in nodes if node is not keeper)
        service = await start(redis_url=f"redis+cluster://127.0.0.1:{nodes[0].port}", otp_worker=False)
        before = {number: await service.issue(number) for number in NUMBERS}
        getattr(dead, death)()
        with contextlib.ExitStack() as stack:
            stack.callback(dead.thaw)
            on_dead = [number for number in NUMBERS if homes[before[number]["id"][3]] is dead]
            ended = asyncio.gather(*(_work(service, number, before[number]["id"]) for number in on_dead))
            others = [each for each in NUMBERS if each not in on_dead]
            told = [await _work(service, number, before[number]["id"]) for number in others]  # one after another
            told += await ended
    lost = {number for number, is_done, _ in told if not is_done}
    assert lost == set(on_dead)
    share = sum(home is dead for home in homes.values()) / len(homes)
    assert 0.2 < share < 0.5
    assert 0 < len(lost) < len(NUMBERS)
    median = statistics.median(seconds for number, _, seconds in told if number not in lost)
    print(f"\n{death}: {len(lost)} of {len(NUMBERS)} failed; {share:.0%} of the partitions; median {median:.3f} s")
    assert median < TIMEOUT_SECONDS, "what lives on other shards does not wait for the dead one"


def _home(key, nodes, ends):
    tag = key[1:-1] if key.startswith("{") else key
    return nodes[next(place for place, last in enumerate(ends) if key_slot(tag.encode()) <= last)]


async def _work(service, number, verification_id):
    """Check the code of a number and issue another one; return whether both succeeded, and how long they took."""
    began = time.monotonic()
    path, code = f"/v1/verifications/{verification_id}/verify", service.codes(number)[0]
    checked, _, _ = await service.call("POST", path, {"code": code})
    issued, _, _ = await service.call("POST", "/v1/verifications", {"to": number})
    assert {checked, issued} <= {200, 201, 503}
    assert (checked == 200) == (issued == 201), "both are about the same partition"
    return number, issued == 201, time.monotonic() - began
