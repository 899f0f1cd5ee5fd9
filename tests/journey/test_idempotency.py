"""Idempotency-Key over HTTP: the first response again and no second message; on verify the same verdict again."""

import asyncio
from collections import Counter

import pytest

from service.api.v1.schemas import ResponseWriter
from service.core.store_health import StoreUnavailable
from service.store.ledgers import RedisIdempotency
from service.store.verifications import RedisVerifications
from tests.records import RawRecord

PATH = "/v1/verifications"
OTHER = "+14155550188"


async def issue(running, key, to="+14155550123", **fields):
    """Issue with an Idempotency-Key; return (status, body, headers)."""
    body = {"to": to, **fields}
    return await running.call("POST", "/v1/verifications", body, headers={"Idempotency-Key": key})


def without_id(problem):
    """Leave out the id of the request, which each response has anew."""
    return {name: value for name, value in problem.items() if name != "request_id"}


async def test_the_same_key_and_body_get_the_first_response_and_no_second_message(running, redis):
    """A repeat gets the same response, marked as repeated, and sends nothing; it is stored for 24 h, encrypted."""
    first = await issue(running, "order-7")
    again = await issue(running, "order-7")
    assert first[0] == again[0] == 201
    assert again[1] == first[1]
    assert again[2]["Location"] == first[2]["Location"]
    assert "Idempotent-Replayed" not in first[2]
    assert again[2]["Idempotent-Replayed"] == "true"
    assert len(running.messages()) == 1
    [kept] = redis.scan_iter("otp:idem:*")
    assert 86_000 < redis.ttl(kept) <= 86_400
    text = b"".join(redis.hgetall(kept).values())
    assert b"4155550123" not in text
    assert first[1]["client_token"].encode() not in text


async def test_a_stored_response_is_rendered_once(running, monkeypatch):
    """An issue and a resend return the response that they store under the key, without rendering it again."""
    rendered = []
    render = ResponseWriter.verification

    def counted(self, verification, **how):
        rendered.append(verification)
        return render(self, verification, **how)

    monkeypatch.setattr(ResponseWriter, "verification", counted)
    first = (await issue(running, "order-7"))[1]
    assert len(rendered) == 1
    await running.call("POST", f"/v1/verifications/{first['id']}/resend", headers={"Idempotency-Key": "again"})
    assert len(rendered) == 2


async def test_another_body_under_the_same_key_is_refused(running):
    """A key belongs to one request: with another body it gets a 422, and nothing is sent."""
    await issue(running, "order-7")
    status, problem, _ = await issue(running, "order-7", to=OTHER)
    assert (status, problem["code"]) == (422, "idempotency_key_reused")
    assert running.messages(OTHER) == []


async def test_another_caller_may_use_the_same_key(running):
    """Keys of two callers, or of two routes, do not conflict."""
    first = (await issue(running, "one"))[1]
    path = f"/v1/verifications/{first['id']}/resend"
    by_back_end = await running.call("POST", path, headers={"Idempotency-Key": "one"})
    by_front_end = await running.call("POST", path, key=first["client_token"], headers={"Idempotency-Key": "one"})
    assert [by_back_end[0], by_front_end[0]] == [200, 200]
    assert len(running.messages()) == 3


async def test_while_the_first_request_runs_its_repeat_is_a_conflict(running, fault, posts, eventually):
    """An early repeat gets a 409 with Retry-After; later it gets the first response."""
    fault(running, "messages", "slow", count=1, seconds=30)
    first = asyncio.create_task(issue(running, "order-7"))
    assert await eventually(lambda: not running.sandbox.faults.planned())
    status, problem, headers = await issue(running, "order-7")
    assert (status, problem["code"]) == (409, "request_in_progress")
    assert 20 < int(headers["Retry-After"]) == problem["retry_after"] <= 30, "what is left of the lease"
    running.sandbox.faults.end()
    assert (await first)[0] == 201
    assert (await issue(running, "order-7"))[1] == (await first)[1]
    assert await posts(running) == 1


async def test_fifty_parallel_requests_with_one_key_send_one_message(running):
    """Of fifty at once one is handled; the others get its response or a 409, and one SMS is sent (A17)."""
    responses = await asyncio.gather(*(issue(running, "order-7") for _ in range(50)))
    assert len(running.messages()) == 1
    assert set(Counter(status for status, _, _ in responses)) <= {201, 409}
    assert len({body["id"] for status, body, _ in responses if status == 201}) == 1
    assert (await issue(running, "order-7"))[1]["id"] == next(body["id"] for s, body, _ in responses if s == 201)


async def test_a_503_and_a_429_are_not_stored(start, fault, redis):
    """After a temporary failure the same key may be used again, and then sends."""
    running = await start(otp_limit_number="1/1h")
    fault(running, "messages", "429", count=1, seconds=30)
    assert (await issue(running, "a"))[0] == 503
    assert (await issue(running, "a"))[0] == 201
    assert (await issue(running, "b"))[0] == 429
    redis.delete(*redis.scan_iter("otp:{*}:to:*"))  # as if the hour had passed
    assert (await issue(running, "b"))[0] == 201
    assert len(running.messages()) == 2


async def test_a_request_that_was_refused_at_once_is_not_stored(running):
    """An invalid number stores nothing: the same key may be used with the right one."""
    assert (await issue(running, "a", to="+1415"))[0] == 422
    assert (await issue(running, "a"))[0] == 201


async def test_a_permanent_refusal_is_stored(running, fault, posts):
    """A permanent refusal of Twilio is repeated from Redis, without another request to Twilio, under its own id."""
    fault(running, "messages", "refuse", code=21610, count=1)
    first = await issue(running, "a")
    again = await issue(running, "a")
    assert (first[0], first[1]["code"]) == (422, "recipient_opted_out")
    for _, problem, headers in (first, again):
        assert problem["request_id"] == headers["X-Request-Id"]
    assert again[1]["request_id"] != first[1]["request_id"]
    assert (again[0], without_id(again[1])) == (first[0], without_id(first[1]))
    assert again[2]["Content-Type"] == "application/problem+json"
    assert again[2]["Idempotent-Replayed"] == "true"
    assert await posts(running) == 1


@pytest.mark.usefixtures("no_pause_between_probes")
async def test_a_refusal_that_the_operator_can_fix_is_not_stored(running, fault):
    """Wrong credentials are the operator's error: the same key may send afterwards."""
    fault(running, "messages", "unauthorized", count=1)
    assert (await issue(running, "a"))[0] == 502
    assert (await issue(running, "a"))[0] == 201


async def test_after_a_crash_a_repeat_says_unknown_and_never_sends(running, redis, fault):
    """If the process died between its POST and the response, a repeat returns the send as `unknown`."""
    fault(running, "messages", "lost_response", count=1)
    fault(running, "callbacks", "drop")
    first = (await issue(running, "a"))[1]
    [kept] = redis.scan_iter("otp:idem:*")
    redis.hdel(kept, "answer")  # what a dead process leaves: a lease, and no response
    assert (await issue(running, "a"))[0] == 409
    redis.hset(kept, mapping={"until": 1, "overdue": 1})
    status, again, _ = await issue(running, "a")
    assert (status, again["id"], again["sends"][0]["status"]) == (201, first["id"], "unknown")
    assert again["client_token"] == first["client_token"]
    assert len(running.messages()) == 1
    assert (await running.verify(again["id"], running.codes()[0]))["verdict"] == "approved"


async def test_after_a_crash_before_the_record_a_repeat_sends(running, redis):
    """A request that died before its record was written sent nothing: the repeat issues, under the same id."""
    first = (await issue(running, "a"))[1]
    [kept] = redis.scan_iter("otp:idem:*")
    redis.hdel(kept, "answer")
    redis.hset(kept, mapping={"until": 1, "overdue": 1})
    redis.delete(*redis.scan_iter("otp:{*}:v:*"))
    status, again, _ = await issue(running, "a")
    assert (status, again["id"]) == (201, first["id"])
    assert len(running.messages()) == 2


async def test_a_resend_with_a_key_sends_once(running):
    """The same key on resend gets the first response again; another key is another resend."""
    issued = await running.issue()
    path = f"/v1/verifications/{issued['id']}/resend"
    responses = [await running.call("POST", path, headers={"Idempotency-Key": key}) for key in ("a", "a", "b")]
    assert [status for status, _, _ in responses] == [200, 200, 200]
    assert [len(body["sends"]) for _, body, _ in responses] == [2, 2, 3]
    assert responses[1][2]["Idempotent-Replayed"] == "true"
    assert len(running.messages()) == 3


async def test_a_failed_resend_releases_its_key(running):
    """A resend of an unknown id, or of an ended verification, gets the same refusal on each repeat."""
    for verification_id, expected in (("ve_" + "0" * 32, 404), ((await running.issue())["id"], 409)):
        path = f"/v1/verifications/{verification_id}"
        await running.call("POST", f"{path}/cancel")
        responses = [await running.call("POST", f"{path}/resend", headers={"Idempotency-Key": "a"}) for _ in range(2)]
        assert [status for status, _, _ in responses] == [expected, expected]
        assert without_id(responses[1][1]) == without_id(responses[0][1])


async def test_after_a_crash_a_repeated_resend_says_unknown_and_never_sends(running, redis, fault):
    """If the process died after the POST of a resend, a repeat returns the second send as `unknown`."""
    issued = await running.issue()
    fault(running, "messages", "lost_response", count=1)
    fault(running, "callbacks", "drop")
    path, key = f"/v1/verifications/{issued['id']}/resend", {"Idempotency-Key": "a"}
    assert (await running.call("POST", path, headers=key))[0] == 200
    [kept] = redis.scan_iter("otp:idem:*")
    redis.hdel(kept, "answer")
    redis.hset(kept, mapping={"until": 1, "overdue": 1})
    status, again, _ = await running.call("POST", path, headers=key)
    assert (status, again["sends"][1]["status"]) == (200, "unknown")
    assert len(running.messages()) == 2


async def test_after_a_crash_before_its_record_a_repeated_resend_sends_once(running, redis):
    """A resend that died before its send was recorded is continued: one message, then its response on each repeat."""
    issued = await running.issue()
    path, keyed = f"/v1/verifications/{issued['id']}/resend", {"Idempotency-Key": "a"}
    assert (await running.call("POST", path, headers=keyed))[0] == 200
    RawRecord(redis, issued["id"]).remove("idempotency_tag", send=2)  # as if the second send were another request's
    for _ in range(2):
        died(redis, left_over=True)
        status, again, _ = await running.call("POST", path, headers=keyed)
        assert (status, [send["number"] for send in again["sends"]]) == (200, [1, 2, 3])
    assert len(running.messages()) == 3


async def test_of_many_repeats_after_a_crash_one_sends(running, redis):
    """Of twenty simultaneous repeats of a resend that died before its record, one sends, the others wait for it."""
    issued = await running.issue()
    path, keyed = f"/v1/verifications/{issued['id']}/resend", {"Idempotency-Key": "a"}
    await running.call("POST", path, headers=keyed)
    RawRecord(redis, issued["id"]).remove("idempotency_tag", send=2)
    died(redis, left_over=True)
    responses = await asyncio.gather(*(running.call("POST", path, headers=keyed) for _ in range(20)))
    assert {status for status, _, _ in responses} <= {200, 409}
    assert len(running.messages()) == 3


async def test_after_a_crash_that_certainly_sent_nothing_a_repeat_is_a_503_and_the_next_one_sends(
    running, redis, fault
):
    """If an issue failed before its process died, it sent nothing: the repeat gets a 503, and the next one sends."""
    fault(running, "messages", "lost_response", count=1)
    first = (await issue(running, "a"))[1]
    RawRecord(redis, first["id"]).set("status", "failed")
    died(redis, left_over=True)
    status, problem, headers = await issue(running, "a")
    assert (status, problem["code"], problem["verification_id"]) == (503, "provider_unavailable", first["id"])
    assert int(headers["Retry-After"]) >= 1
    status, fresh, _ = await issue(running, "a")
    assert (status, fresh["sends"][0]["status"], len(running.messages())) == (201, "queued", 2)
    assert fresh["id"] != first["id"]
    assert (await issue(running, "a"))[1] == fresh


@pytest.mark.parametrize("endpoint", ["issue", "resend"])
async def test_a_key_is_not_released_while_the_record_cannot_be_read(running, redis, fault, endpoint):
    """If the record cannot be read, a repeat gets a 503; the next one reads again at once; neither sends anything."""
    fault(running, "callbacks", "drop")
    issued = await running.issue()
    path, body = (PATH, {"to": OTHER}) if endpoint == "issue" else (f"{PATH}/{issued['id']}/resend", None)
    keyed = {"Idempotency-Key": "a"}
    fault(running, "messages", "lost_response", count=1)
    first = (await running.call("POST", path, body, headers=keyed))[1]
    died(redis, left_over=True)
    record = f"otp:{{{first['id'][3]}}}:v:{first['id']}"
    redis.rename(record, "aside")
    redis.set(record, "in the way", ex=60)
    assert (await running.call("POST", path, body, headers=keyed))[0] == 503
    redis.rename("aside", record)
    _, again, _ = await running.call("POST", path, body, headers=keyed)
    assert (again["id"], [send["status"] for send in again["sends"]]) == (
        first["id"], [send["status"] for send in first["sends"]],
    )  # fmt: skip
    assert len(running.sandbox.ledger.messages()) == 2


def died(redis, *, left_over=False):
    """Set an Idempotency-Key to what a dead process leaves: an expired lease that was waited for, and no response."""
    [kept] = redis.scan_iter("otp:idem:*")
    if left_over:
        assert redis.hdel(kept, "answer") == 1
    redis.hset(kept, mapping={"until": 1, "overdue": 1})


@pytest.fixture
def late(monkeypatch):
    """Return an event: the first resend does not reach the store until it is set."""
    let_go, write, waiting = asyncio.Event(), RedisVerifications.resend, iter((True,))

    async def write_late(*given, **named):
        if next(waiting, False):
            await let_go.wait()
        return await write(*given, **named)

    monkeypatch.setattr(RedisVerifications, "resend", write_late)
    yield let_go
    let_go.set()


async def test_an_issue_that_lost_its_lease_gets_the_result_of_its_repeat(start, redis, eventually, monkeypatch):
    """If a repeat takes over a slow issue, the issue sends nothing, returns the repeat's response, counts nowhere."""
    running = await start(otp_limit_key="2/1h")
    let_go, write, waiting = asyncio.Event(), RedisVerifications.issue, iter((True,))

    async def write_late(*given):
        if next(waiting, False):
            await let_go.wait()
        return await write(*given)

    monkeypatch.setattr(RedisVerifications, "issue", write_late)
    slow = asyncio.create_task(issue(running, "a"))
    assert await eventually(lambda: list(redis.scan_iter("otp:limit:api_key:*")))
    died(redis)
    repeated = await issue(running, "a")
    let_go.set()
    response = await slow
    assert (response[0], repeated[0]) == (201, 201)
    assert (response[1]["id"], response[1]["client_token"]) == (repeated[1]["id"], repeated[1]["client_token"])
    assert len(running.messages()) == 1
    assert (await issue(running, "a"))[1] == repeated[1]
    assert [(await issue(running, key))[0] for key in "bc"] == [201, 429]


async def test_a_resend_that_lost_its_lease_gets_the_result_of_its_repeat(start, redis, eventually, late):
    """If a repeat takes over a slow resend, the resend sends nothing, returns its response, and counts nowhere."""
    running = await start(otp_limit_key="3/1h", otp_limit_number="3/1h")
    issued = await running.issue()
    path, keyed = f"{PATH}/{issued['id']}/resend", {"Idempotency-Key": "a"}
    slow = asyncio.create_task(running.call("POST", path, headers=keyed))
    assert await eventually(lambda: list(redis.scan_iter("otp:idem:*")))
    assert await eventually(
        lambda: sum(int(redis.hvals(key)[0]) for key in redis.scan_iter("otp:limit:api_key:*")) == 2
    )
    died(redis)
    status, repeated, _ = await running.call("POST", path, headers=keyed)
    assert (status, [send["number"] for send in repeated["sends"]]) == (200, [1, 2])
    late.set()
    status, response, _ = await slow
    assert (status, [send["number"] for send in response["sends"]]) == (200, [1, 2])
    assert len(running.messages()) == 2
    assert (await running.call("POST", path, headers=keyed))[1]["sends"] == repeated["sends"]
    assert [(await running.call("POST", path))[0] for _ in range(2)] == [200, 429]
    assert len(running.messages()) == 3


@pytest.mark.parametrize("can_release", [True, False])
@pytest.mark.parametrize("endpoint", ["issue", "resend"])
async def test_a_refusal_that_cannot_be_stored_is_returned(running, fault, monkeypatch, endpoint, can_release):
    """Twilio's refusal is returned even if it cannot be stored; a repeat that is accepted asks Twilio again."""
    path, body = PATH, {"to": OTHER}
    if endpoint == "resend":
        path, body = f"{PATH}/{(await running.issue(OTHER))['id']}/resend", None
    keyed = {"Idempotency-Key": "a"}

    async def away(*_, **__):
        raise StoreUnavailable("away")

    fault(running, "messages", "refuse", code=21610)
    with monkeypatch.context() as patch:
        patch.setattr(RedisIdempotency, "finish", away)
        if not can_release:
            patch.setattr(RedisIdempotency, "release", away)
        status, problem, _ = await running.call("POST", path, body, headers=keyed)
    assert (status, problem["code"]) == (422, "recipient_opted_out")
    status, problem, _ = await running.call("POST", path, body, headers=keyed)
    assert (status, problem["code"]) == ((422, "recipient_opted_out") if can_release else (503, "store_unavailable"))


async def test_an_invalid_key_is_refused(running):
    """Empty, too long, or with anything but visible ASCII: 400, and nothing is sent."""
    for key in ("", "x" * 256, "a b", "caf\u00e9"):
        status, problem, _ = await issue(running, key)
        assert (key, status, problem["code"]) == (key, 400, "invalid_idempotency_key")
    assert running.messages() == []


async def test_a_repeated_check_gets_the_same_verdict_for_a_minute(running, grow_older, wrong):
    """After a lost response an approval does not become `used`, nor one wrong code two; after 60 s it is a new one."""
    issued = await running.issue()
    path = f"/v1/verifications/{issued['id']}/verify"
    [code] = running.codes()

    async def check(typed, key):
        _, body, _ = await running.call("POST", path, {"code": typed}, headers={"Idempotency-Key": key})
        return body.get("verdict"), body.get("attempts_remaining"), body.get("code")

    assert await check(wrong(code), "1") == await check(wrong(code), "1") == ("wrong_code", 4, None)
    assert await check(code, "1") == (None, None, "idempotency_key_reused")
    assert await check(code, "2") == await check(code, "2") == ("approved", 3, None)
    assert (await running.verify(issued["id"], code))["verdict"] == "used"
    grow_older(issued["id"], 61)
    assert await check(code, "2") == ("used", 1, None)
