"""OTP_WAIT_REPLICAS over HTTP: with a frozen replica nobody is told of an approval; afterwards one request is."""

import asyncio
import contextlib
import re

import pytest
from twilio.request_validator import RequestValidator

from tests.conftest import NUMBER
from tests.journey.test_idempotency import died
from tests.journey.test_replies import words_in
from tests.redis_client.servers import replicated_server


@pytest.fixture(scope="module")
def replicated(tmp_path_factory):
    """Run a primary and its replica for all tests of this file."""
    folder = tmp_path_factory.mktemp("replicated")
    with replicated_server(folder) as nodes:
        yield nodes


@pytest.fixture
async def waiting(start, replicated):
    """Start a service that waits for the replica; return it with a function that freezes the replica for a block."""
    primary, replica = replicated
    primary.admin.flushall()

    @contextlib.contextmanager
    def frozen():
        replica.freeze()
        try:
            yield
        finally:
            replica.thaw()

    return await start(redis_url=primary.url, otp_wait_replicas=1, otp_wait_ms=600), frozen


def body_of(running, verification_id, **more):
    return f"/v1/verifications/{verification_id}/verify", {"code": running.codes()[0]} | more


async def test_an_approval_that_is_not_replicated_is_pending_everywhere(waiting):
    """The check gets 503 with Retry-After; reads, search and a repeat agree; then the same code is approved, once."""
    service, frozen = waiting
    issued = await service.issue()
    path, body = body_of(service, issued["id"])
    with frozen():
        for _ in range(2):
            status, problem, headers = await service.call("POST", path, body)
            assert (status, problem["code"]) == (503, "store_unavailable")
            assert int(headers["Retry-After"]) >= 1
        assert (await service.read(issued["id"]))["status"] == "pending"
        _, found, _ = await service.call("POST", "/v1/verifications/search", {"to": NUMBER})
        assert [each["status"] for each in found["verifications"]] == ["pending"]
    verdicts = await asyncio.gather(*(service.call("POST", path, body) for _ in range(5)))
    assert sorted(told["verdict"] for _, told, _ in verdicts) == ["approved", *["used"] * 4]
    assert (await service.read(issued["id"]))["status"] == "approved"


async def test_a_repeat_with_the_same_key_waits_too(waiting):
    """It gets 503 while the replica is frozen, then `approved` each time; another request is `used`."""
    service, frozen = waiting
    issued = await service.issue()
    path, body = body_of(service, issued["id"])
    keyed = {"headers": {"Idempotency-Key": "once"}}
    with frozen():
        for _ in range(2):
            status, _, _ = await service.call("POST", path, body, **keyed)
            assert status == 503
    verdicts = [(await service.call("POST", path, body, **keyed))[1]["verdict"] for _ in range(2)]
    assert verdicts == ["approved", "approved"]
    assert (await service.verify(issued["id"], body["code"]))["verdict"] == "used"


async def test_an_issue_that_is_not_replicated_sends_nothing(waiting):
    """The caller gets 503, no message goes out, and the limits and the key are given back."""
    service, frozen = waiting
    with frozen():
        status, problem, _ = await service.call(
            "POST", "/v1/verifications", {"to": NUMBER}, headers={"Idempotency-Key": "first"}
        )
        assert (status, problem["code"]) == (503, "store_unavailable")
    assert service.messages() == []
    status, _, _ = await service.call("POST", "/v1/verifications", {"to": NUMBER}, headers={"Idempotency-Key": "first"})
    assert (status, len(service.messages())) == (201, 1)


@pytest.mark.parametrize("is_resend", [False, True])
async def test_what_a_dead_process_has_sent_is_told_once_the_replica_has_it(waiting, replicated, is_resend):
    """The repeat that takes over its Idempotency-Key waits too: 503 while the replica is frozen, then the same send."""
    service, frozen = waiting
    asked, wanted = ("/v1/verifications", {"to": NUMBER}), 201
    if is_resend:
        asked, wanted = (f"/v1/verifications/{(await service.issue())['id']}/resend",), 200
    keyed = {"headers": {"Idempotency-Key": "first"}}
    _, first, _ = await service.call("POST", *asked, **keyed)
    died(replicated[0].admin, left_over=True)
    with frozen():
        status, problem, _ = await service.call("POST", *asked, **keyed)
        assert (status, problem["code"]) == (503, "store_unavailable")
    status, again, _ = await service.call("POST", *asked, **keyed)
    assert (status, again["id"], len(again["sends"])) == (wanted, first["id"], len(first["sends"]))
    assert len(service.messages()) == len(first["sends"])


async def test_a_reply_is_approved_once_the_replica_goes_on(waiting, eventually):
    """Nobody repeats a reply, so the service waits again by itself; the page that started it sees the approval."""
    service, frozen = waiting
    issued = await service.issue(action="reply")
    with frozen():
        await service.reply(f"{words_in(service)} {issued['match']}")
        assert (await service.read(issued["id"]))["status"] == "pending"

    async def is_approved():
        return (await service.read(issued["id"]))["status"] == "approved"

    assert await eventually(is_approved, seconds=30)


async def test_a_repeated_message_waits_again(waiting):
    """The same MessageSid gets 503 while the replica is frozen, then 200, and its verification is approved."""
    service, frozen = waiting
    issued = await service.issue(action="reply")
    body = f"{words_in(service)} {issued['match']}"
    fields = {"MessageSid": "SM" + "7" * 32, "From": NUMBER, "Body": body}
    path = "/twilio/message"
    signature = RequestValidator("sandbox-auth-token").compute_signature(service.url + path, fields)

    async def send():
        async with service.http.post(path, data=fields, headers={"X-Twilio-Signature": signature}) as response:
            return response.status

    with frozen():
        assert [await send() for _ in range(2)] == [503, 503]
        assert (await service.read(issued["id"]))["status"] == "pending"
    assert await send() == 200
    assert (await service.read(issued["id"]))["status"] == "approved"


async def test_the_metrics_name_the_waits_in_vain(waiting, eventually):
    """`otp_store_errors` counts them by their cause, and a gauge has the longest wait of the last minute."""
    service, frozen = waiting
    issued = await service.issue()
    with frozen():
        await service.call("POST", *body_of(service, issued["id"]))

    async def are_counted():
        async with service.http.get("/metrics") as response:
            text = await response.text()
        longest = float(re.search(r"^otp_replication_wait_seconds (.+)$", text, re.MULTILINE)[1])
        return 'otp_store_errors_total{cause="not_replicated"} 1.0' in text and longest >= 0.6

    assert await eventually(are_counted, seconds=30)


async def test_readiness_says_that_waits_fail(waiting):
    """Its response names the cause. It stays 200, since what does not wait goes on: reads, wrong codes, callbacks."""
    service, frozen = waiting

    async def replicas():
        async with service.http.get("/readyz") as response:
            assert response.status == 200
            return (await response.json())["replicas"]

    issued = await service.issue()
    assert await replicas() == "ok"
    with frozen():
        await service.call("POST", *body_of(service, issued["id"]))
        assert await replicas() == "waits failed within the last minute: not_replicated"
