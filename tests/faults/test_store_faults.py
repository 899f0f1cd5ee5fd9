"""Redis suspended (F4), silent or cut off (F5), full (F9): 503, never half-done, never wrongly `approved`."""

import asyncio
import time

import pytest

from tests.records import RawRecord
from tests.redis_client.proxy import Proxy

NUMBER = "+14155550123"
LONGEST_ANSWER_SECONDS = 5.0  # a call to Redis ends after 1 s; the rest is for a busy machine


def attempts(redis, verification_id):
    """Return how many attempts a verification has counted."""
    return int(RawRecord(redis, verification_id).get("attempts"))


def everything(redis):
    """Return all keys with their raw content."""
    return {key: redis.dump(key) for key in redis.scan_iter()}


async def timed(call):
    """Make a call; return its status, body and duration."""
    started = time.monotonic()
    status, body, headers = await call
    if status == 503:
        assert int(headers["Retry-After"]) >= 1
        assert body["code"] == "store_unavailable"
    return status, body, time.monotonic() - started


async def test_a_frozen_redis_counts_nothing_twice_and_approves_nothing_twice(start, own_redis, eventually):
    """F4: with Redis suspended under load callers get a 503 in time; each check is counted once or not at all."""
    running = await start(redis_url=own_redis.url)
    ids = [(await running.issue(f"+1415555{number:04d}"))["id"] for number in range(20)]
    codes = [running.codes(f"+1415555{number:04d}")[0] for number in range(20)]

    def check(verification_id, code, key):
        path = f"/v1/verifications/{verification_id}/verify"
        return timed(running.call("POST", path, {"code": code}, headers={"Idempotency-Key": key}))

    own_redis.freeze()
    try:
        frozen = await asyncio.gather(*(check(*one, "first") for one in zip(ids, codes, strict=True)))
    finally:
        own_redis.thaw()
    assert {status for status, _, _ in frozen} == {503}
    assert max(seconds for _, _, seconds in frozen) < LONGEST_ANSWER_SECONDS

    async def is_back():
        return (await running.call("GET", f"/v1/verifications/{ids[0]}"))[0] == 200

    assert await eventually(is_back, seconds=10)
    assert {attempts(own_redis.admin, one) for one in ids} <= {0, 1}
    # After a lost response an approval must not become `used`: the same key requests the same verdict again.
    again = await asyncio.gather(*(check(*one, "first") for one in zip(ids, codes, strict=True)))
    assert {body["verdict"] for _, body, _ in again} == {"approved"}
    once_more = await asyncio.gather(*(check(*one, "second") for one in zip(ids, codes, strict=True)))
    assert {body["verdict"] for _, body, _ in once_more} == {"used"}
    assert await eventually(lambda: len(running.confirmed()) == 20)


async def test_a_freeze_within_a_load_is_a_503_at_worst(start, own_redis):
    """F4: requests before, during and after a suspension of a second get 200 or 503; no code is approved twice."""
    running = await start(redis_url=own_redis.url, otp_worker=False)
    numbers = [f"+1415555{number:04d}" for number in range(40)]
    ids = [(await running.issue(number))["id"] for number in numbers]
    codes = [running.codes(number)[0] for number in numbers]
    seen = {one: [] for one in ids}

    async def type_codes(place):
        for verification_id, code in list(zip(ids, codes, strict=True))[place::4]:
            for _ in range(2):
                path = f"/v1/verifications/{verification_id}/verify"
                seen[verification_id].append(await timed(running.call("POST", path, {"code": code})))

    load = [asyncio.create_task(type_codes(place)) for place in range(4)]
    await asyncio.sleep(0.1)
    own_redis.freeze()
    await asyncio.sleep(1)
    own_redis.thaw()
    await asyncio.gather(*load)
    for verification_id, responses in seen.items():
        assert {status for status, _, _ in responses} <= {200, 503}
        assert max(seconds for _, _, seconds in responses) < LONGEST_ANSWER_SECONDS
        assert [body.get("verdict") for _, body, _ in responses].count("approved") <= 1
        assert attempts(own_redis.admin, verification_id) <= len(responses)


@pytest.mark.parametrize("fault", ["deaf", "cut"])
async def test_a_redis_behind_a_broken_proxy_is_a_503(start, own_redis, eventually, fault):
    """F5: replies lost or connections reset: all endpoints return 503 in time, never approved; then it recovers."""
    async with Proxy(own_redis.port) as proxy:
        running = await start(redis_url=proxy.url)
        issued = await running.issue()
        [code] = running.codes()
        one = f"/v1/verifications/{issued['id']}"
        endpoints = [
            ("GET", one, None), ("POST", one + "/verify", {"code": code}), ("POST", one + "/resend", None),
            ("POST", one + "/cancel", None), ("POST", "/v1/verifications", {"to": "+12025550123"}),
            ("POST", "/v1/verifications/search", {"to": "+12025550123"}),
        ]  # fmt: skip
        proxy.drops_replies = True
        calls = [asyncio.create_task(timed(running.call(*endpoint))) for endpoint in endpoints]
        if fault == "cut":
            await asyncio.sleep(0.05)
            proxy.cut()
        responses = await asyncio.gather(*calls)
        assert {status for status, _, _ in responses} == {503}
        assert max(seconds for _, _, seconds in responses) < LONGEST_ANSWER_SECONDS
        assert (await running.call("GET", "/livez"))[0] == 200
        proxy.drops_replies = False
        proxy.cut()

        async def is_back():
            return (await running.call("GET", one))[0] == 200

        assert await eventually(is_back, seconds=10)
        assert (await running.issue("+12025550124"))["status"] == "pending"


async def test_a_full_redis_refuses_before_the_first_step(start, own_redis):
    """F9: out of memory under noeviction every writing endpoint returns 503 and changes nothing; reading works."""
    running = await start(redis_url=own_redis.url, otp_worker=False)
    issued = await running.issue()
    [code] = running.codes()
    one = f"/v1/verifications/{issued['id']}"
    endpoints = [
        (one + "/verify", {"code": code}), (one + "/verify", {"code": "000000"}), (one + "/resend", None),
        (one + "/cancel", None), ("/v1/verifications", {"to": "+12025550123"}),
    ]  # fmt: skip
    for path, body in endpoints[1:2] + endpoints[4:]:  # each script has run once, so that memory is the only cause
        await running.call("POST", path, body)
    before = everything(own_redis.admin)
    sent = len(running.sandbox.ledger.messages())
    own_redis.admin.config_set("maxmemory-policy", "noeviction")
    own_redis.admin.config_set("maxmemory", 1)
    for path, body in endpoints:
        assert (await timed(running.call("POST", path, body)))[0] == 503, path
    assert (await running.call("GET", one))[0] == 200
    assert (await running.call("POST", "/v1/verifications/search", {"to": issued["to"]}))[0] == 200
    assert everything(own_redis.admin) == before
    assert len(running.sandbox.ledger.messages()) == sent
    own_redis.admin.config_set("maxmemory", 0)
    assert (await running.verify(issued["id"], code))["verdict"] == "approved"


async def test_a_redis_that_fills_up_during_a_send_loses_no_sid(start, own_redis, eventually):
    """F9: full just when the SID must be written: the write is retried, and the right SID is confirmed."""
    running = await start(redis_url=own_redis.url, otp_public_url=None)
    fill = own_redis.admin.config_set
    twilio = running.sandbox.ledger.add

    def full_from_now(message):
        twilio(message)
        fill("maxmemory", 1)
        asyncio.get_running_loop().call_later(0.2, fill, "maxmemory", 0)

    running.sandbox.ledger.add = full_from_now
    issued = await running.issue()
    assert (await running.verify(issued["id"], *running.codes()))["verdict"] == "approved"
    assert await eventually(running.confirmed) == {running.messages()[0].sid}
