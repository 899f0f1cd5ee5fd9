"""What the service refuses before anything is written is in the report: by its reason, and in bounded memory."""

import asyncio

from service.core.partitions import PARTITIONS
from tests.conftest import NUMBER

CONVERSION, ISSUE = "/v1/reports/conversion", "/v1/verifications"
TEST_NUMBER = "+14155550100"
LANDLINE, FRENCH, PREMIUM = "+49305550123", "+33612345678", "+449098790123"


async def blocked(service, group_by="country", **filters):
    """Return what the report counts as blocked, by group and reason."""
    asked = "&".join(f"{name}={value}" for name, value in {"group_by": group_by, **filters}.items())
    status, shown, _ = await service.call("GET", f"{CONVERSION}?{asked}")
    assert status == 200, shown
    assert shown["total"]["sends"]["total"] == 0
    return {
        (*group["key"].values(), reason["reason"]): reason["count"]
        for group in shown["groups"]
        for reason in group["blocked"]["reasons"]
    }


async def test_a_number_that_is_refused_is_counted(start):
    """A malformed number, one of another country and a landline are counted by country, with what was asked for."""
    service = await start(otp_countries="US,DE,GB", otp_line_types="mobile")
    for to, status in (("+1415", 422), (PREMIUM, 422), (FRENCH, 422), (FRENCH, 422), (LANDLINE, 422)):
        body = {"to": to, "purpose": "payment", "action": "password"}
        assert (await service.call("POST", ISSUE, body))[0] == status
    assert await blocked(service, purpose="payment", action="password", send_number=1, channel="sms") == {
        ("ZZ", "invalid_number"): 2,
        ("FR", "country_not_allowed"): 2,
        ("DE", "not_a_mobile_number"): 1,
    }
    assert await blocked(service, purpose="login") == {}


async def test_a_request_that_cannot_be_sent_is_counted(start):
    """An unknown sender, a missing address and a link without an address are counted by the code of their problem."""
    service = await start(otp_require_client_ip=True)
    ip = {"client_ip": "192.0.2.1"}
    for body, code in (
        ({"channel": "voice", **ip}, "channel_unavailable"),
        ({"channel": "sms"}, "client_ip_required"),
        ({"action": "link", "link_return": 5, **ip}, "invalid_request"),
    ):
        _, problem, _ = await service.call("POST", ISSUE, {"to": NUMBER, **body})
        assert problem["code"] == code
    assert await blocked(service, "channel,country") == {
        ("voice", "US", "channel_unavailable"): 1,
        ("sms", "US", "client_ip_required"): 1,
        ("sms", "US", "invalid_request"): 1,
    }


async def test_a_resend_that_cannot_be_sent_is_counted_as_the_next_send(start):
    """A channel without a sender refuses the second send of a verification; it stays one send."""
    service = await start()
    issued = await service.issue()
    status, problem, _ = await service.call("POST", f"{ISSUE}/{issued['id']}/resend", {"channel": "voice"})
    assert (status, problem["code"]) == (422, "channel_unavailable")
    status, shown, _ = await service.call("GET", f"{CONVERSION}?group_by=channel,send_number")
    groups = {tuple(group["key"].values()): group for group in shown["groups"]}
    assert groups["voice", "2"]["blocked"]["reasons"] == [{"reason": "channel_unavailable", "count": 1}]
    assert (groups["voice", "2"]["sends"]["total"], groups["sms", "1"]["sends"]["total"]) == (0, 1)


async def test_while_sending_is_halted_what_is_refused_is_counted(start):
    """A provider that refuses our credentials halts sending; the issues that are refused then are counted."""
    service = await start()
    fault = {"endpoint": "messages", "kind": "unauthorized"}
    async with service.http.post(f"{service.sandbox_url}/_/faults", json=fault) as response:
        assert response.status == 201
    for last in range(3):
        await service.call("POST", ISSUE, {"to": f"+1202555014{last}"})
    _, shown, _ = await service.call("GET", CONVERSION)
    total = shown["total"]
    assert total["sends"]["total"] + total["blocked"]["total"] == 3
    assert [each["reason"] for each in total["blocked"]["reasons"]] == ["sending_halted"]


async def test_test_numbers_are_not_counted(start):
    """A link to a test number is refused, and not counted: nothing would be sent to it."""
    service = await start(otp_test_numbers=f"{TEST_NUMBER}:123456")
    assert (await service.call("POST", ISSUE, {"to": TEST_NUMBER, "action": "link"}))[0] == 422
    assert await blocked(service) == {}


async def test_what_is_refused_takes_bounded_memory(start, redis):
    """However many numbers are refused, the counters have one combination for each partition."""
    service = await start()
    for first in range(0, 300, 50):
        tried = [service.call("POST", ISSUE, {"to": f"+1000555{first + last:04}"}) for last in range(50)]
        assert {status for status, *_ in await asyncio.gather(*tried)} == {422}
    keys = list(redis.scan_iter("otp:{*}:funnel:h*"))
    assert len(keys) <= 2 * len(PARTITIONS)  # an hour may end meanwhile
    for key in keys:
        combinations = {name.rpartition(b"|")[0] for name in redis.hkeys(key)} - {b""}
        assert combinations == {b"ZZ|sms||login|code|1"}
    assert await blocked(service) == {("ZZ", "invalid_number"): 300}
