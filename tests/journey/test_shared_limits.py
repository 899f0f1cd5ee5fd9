"""Shared limits: a request that sends nothing uses none of them, and a resend counts like its issue."""

import asyncio

import pytest

from service.sandbox import FaultPlan
from tests.records import RawRecord

NUMBER = "+14155550123"
NEIGHBOURS = [f"+1415555{line:04}" for line in range(4000, 4040)]
FAR_NUMBER = "+12025550145"
IP, OTHER_IP = "198.51.100.7", "203.0.113.9"
PATH = "/v1/verifications"
# Six messages, whichever limit is reached.
SHARED = {f"otp_limit_{name}": "6/1h" for name in ("ip", "prefix", "country", "day", "key")}


async def issue(running, to=NUMBER, *, headers=None, client_ip=IP, key=None):
    """Issue; return (status, body)."""
    body = {"to": to} if client_ip is None else {"to": to, "client_ip": client_ip}
    status, response, _ = await running.call("POST", PATH, body, headers=headers, key=key)
    return status, response


async def statuses(*calls):
    """Make concurrent calls; return the set of statuses."""
    return {status for status, *_ in await asyncio.gather(*calls)}


async def resends(running, verification_id, count, key=None):
    """Request this many resends at once; return the set of statuses."""
    path = f"{PATH}/{verification_id}/resend"
    return await statuses(*(running.call("POST", path, key=key) for _ in range(count)))


async def refused_by_the_number(running):
    """Make requests that the number's own limit refuses."""
    _, issued = await issue(running)
    assert await statuses(*(issue(running) for _ in range(20))) == {429}
    assert await resends(running, issued["id"], 10) == {429}


async def refused_by_validation(running):
    """Request invalid numbers, or numbers of a country that is not allowed."""
    assert await statuses(*(issue(running, to) for to in ["+1415", "+8613812345678"] * 10)) == {422}


async def repeated(running):
    """Repeat one issue fifty times at once with its Idempotency-Key, and once later."""
    keyed = {"Idempotency-Key": "order-7"}
    assert await statuses(*(issue(running, headers=keyed) for _ in range(50))) <= {201, 409}
    assert (await issue(running, headers=keyed))[0] == 201


async def not_pending(running):
    """Request resends of a verification that has ended."""
    _, issued = await issue(running)
    await running.call("POST", f"{PATH}/{issued['id']}/cancel")
    assert await resends(running, issued["id"], 20) == {409}
    assert await resends(running, issued["id"], 20, issued["client_token"]) == {409}


async def exhausted(running):
    """Request resends of a verification that has used all its sends."""
    _, issued = await issue(running)
    assert await resends(running, issued["id"], 20) <= {409, 429}  # they may conflict for a moment
    assert await resends(running, issued["id"], 1) == {409}


async def busy(running):
    """Issue and resend while Twilio is busy."""
    _, issued = await issue(running)
    running.sandbox.faults.plan(FaultPlan(endpoint="messages", kind="429", seconds=30))
    assert await statuses(*(issue(running, to) for to in NEIGHBOURS[:5])) == {503}
    assert await resends(running, issued["id"], 1) == {503}
    running.sandbox.faults.end()


FLOODS = {
    refused_by_the_number: ({"otp_limit_number": "1/1h"}, 1),
    refused_by_validation: ({}, 0),
    repeated: ({}, 1),
    not_pending: ({}, 1),
    exhausted: ({"otp_max_sends": 1}, 1),
    busy: ({}, 1),
}


@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.__name__)
async def test_requests_that_send_nothing_use_no_shared_limit(start, flood):
    """After any flood of requests that sent nothing, as many messages may be sent as the limits allow."""
    settings, sent = FLOODS[flood]
    running = await start(**SHARED, **settings)
    await flood(running)
    assert len(running.sandbox.ledger.messages()) == sent
    granted = [(await issue(running, to))[0] for to in NEIGHBOURS[20:28]]
    assert granted == [201] * (6 - sent) + [429] * (2 + sent)


async def test_a_flood_from_one_address_uses_no_shared_limit(start):
    """Requests refused for their address do not count for country, day and prefix (10 here)."""
    shared = dict.fromkeys(("otp_limit_country", "otp_limit_day", "otp_limit_prefix", "otp_limit_key"), "10/1h")
    running = await start(otp_limit_ip="1/10m", **shared)
    assert (await issue(running, NEIGHBOURS[0]))[0] == 201
    assert await statuses(*(issue(running, to) for to in NEIGHBOURS[1:])) == {429}
    strangers = [(await issue(running, to, client_ip=f"203.0.113.{n}"))[0] for n, to in enumerate(NEIGHBOURS[1:12])]
    assert strangers == [201] * 9 + [429] * 2


async def test_a_request_that_one_limit_refuses_counts_for_none(start):
    """A request that one limit refuses counts for none, so another number still gets its message."""
    running = await start(otp_limit_prefix="2/1h", otp_limit_country="4/1h", otp_limit_ip="4/1h")
    assert [(await issue(running, to))[0] for to in NEIGHBOURS[:12]] == [201] * 2 + [429] * 10
    assert [(await issue(running, to))[0] for to in (FAR_NUMBER, "+13125550145", "+12065550145")] == [201, 201, 429]


@pytest.mark.parametrize("by_front_end", [False, True])
async def test_a_resend_counts_for_the_address_of_its_issue(start, by_front_end):
    """Issues and resends for one address share its limit, whoever requests them; another address is not affected."""
    running = await start(otp_limit_ip="3/1h", otp_max_sends=10)
    _, issued = await issue(running)
    path, key = f"{PATH}/{issued['id']}/resend", issued["client_token"] if by_front_end else None
    responses = [await running.call("POST", path, key=key) for _ in range(3)]
    assert [status for status, _, _ in responses] == [200, 200, 429]
    assert responses[2][1]["code"] == "rate_limited"
    assert 1 <= int(responses[2][2]["Retry-After"]) == responses[2][1]["retry_after"] <= 3600 + 180
    assert (await issue(running, FAR_NUMBER))[0] == 429
    assert (await issue(running, FAR_NUMBER, client_ip=OTHER_IP))[0] == 201
    assert (await running.call("POST", path, headers={"X-Forwarded-For": OTHER_IP}, key=key))[0] == 429
    assert len(running.messages()) == 3


async def test_without_an_address_a_resend_counts_for_none(start):
    """A verification that was issued without `client_ip` counts for all other limits, and for no address."""
    running = await start(otp_limit_ip="1/1h", otp_limit_country="3/1h")
    _, issued = await issue(running, client_ip=None)
    path = f"{PATH}/{issued['id']}/resend"
    assert [(await running.call("POST", path))[0] for _ in range(3)] == [200, 200, 429]


async def test_each_api_key_has_its_own_limit(start):
    """A back end that has reached its key's limit is stopped with its front ends; others are not."""
    running = await start(otp_limit_key="2/1h", otp_index_key="Wd6pN3fV8kQr" * 3)
    other = await start(otp_limit_key="2/1h", otp_index_key="Wd6pN3fV8kQr" * 3)
    _, issued = await issue(running, NEIGHBOURS[0], key=other.key)  # read before the first key is used: both are known
    assert (await issue(running, NEIGHBOURS[1], key=other.key))[0] == 201
    assert (await issue(running, NEIGHBOURS[2], key=other.key))[0] == 429
    path = f"{PATH}/{issued['id']}/resend"
    assert (await running.call("POST", path, key=other.key))[0] == 429
    assert (await running.call("POST", path, key=issued["client_token"]))[0] == 429
    assert (await issue(running, NEIGHBOURS[3]))[0] == 201


async def test_a_resend_by_a_front_end_counts_for_the_issuing_key(start, redis):
    """Ten messages may be sent, including resends with client tokens; other keys are not affected."""
    running = await start(otp_limit_key="10/1h", otp_index_key="Wd6pN3fV8kQr" * 3)
    other = await start(otp_limit_key="10/1h", otp_index_key="Wd6pN3fV8kQr" * 3)
    issued = [(await issue(running, to))[1] for to in NEIGHBOURS[:6]]
    seen = []
    for one in issued * 3:
        status, _, _ = await running.call("POST", f"{PATH}/{one['id']}/resend", key=one["client_token"])
        seen.append(status)
    assert seen == [200] * 4 + [429] * 14
    assert len(running.sandbox.ledger.messages()) == 10
    assert (await issue(running, NEIGHBOURS[7]))[0] == 429
    assert (await issue(running, NEIGHBOURS[7], key=other.key))[0] == 201


async def test_records_without_a_key_share_one_limit(start, redis):
    """Front ends of verifications without an issuing key share one limit, separate from those of the keys."""
    running = await start(otp_limit_key="2/1h")
    issued = [(await issue(running, to))[1] for to in NEIGHBOURS[:2]]
    for one in issued:
        assert RawRecord(redis, one["id"]).remove("key_tag")
    calls = [(f"{PATH}/{one['id']}/resend", one["client_token"]) for one in issued * 2]
    assert [(await running.call("POST", path, key=token))[0] for path, token in calls] == [200, 200, 429, 429]


async def test_a_number_blocked_by_failed_checks_is_sent_nothing(start, wrong):
    """When a limit cannot be read, neither issue nor resend sends; each says when to retry; other numbers are free."""
    running = await start(otp_limit_failed_checks="2/1d", otp_limit_country="3/1h")
    _, issued = await issue(running)
    for _ in range(2):
        assert (await running.verify(issued["id"], wrong(*running.codes())))["verdict"] == "wrong_code"
    for path, body in ((f"{PATH}/{issued['id']}/resend", None), (PATH, {"to": NUMBER})) * 3:
        status, problem, headers = await running.call("POST", path, body)
        assert (status, problem["code"]) == (429, "rate_limited")
        assert 3600 < int(headers["Retry-After"]) == problem["retry_after"] <= 86_400
    assert len(running.messages()) == 1
    assert [(await issue(running, to))[0] for to in NEIGHBOURS[:3]] == [201, 201, 429]
