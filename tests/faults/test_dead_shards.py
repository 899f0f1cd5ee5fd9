"""One dead shard of a cluster affects only its share of the keys."""

import asyncio

import pytest
from redis.crc import key_slot

from service.http import authentication as auth
from tests.redis_client.servers import cluster

NUMBERS = [f"+1415555{number:04d}" for number in range(20)]


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
