"""The promises of `service.http.direct_router`: requests over the limit are refused at once, sends before checks."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from service.core.checking import Checking
from service.core.issuing import Issuing
from service.sandbox import FaultPlan

ISSUE = "/v1/verifications"
NUMBERS = [f"+1415555{number:04d}" for number in range(40)]


@pytest.fixture
def gate(monkeypatch):
    """Return an event: no check ends until it is set."""
    gate = asyncio.Event()
    check = Checking.check

    async def wait_and_check(self, *given, **named):
        await gate.wait()
        return await check(self, *given, **named)

    monkeypatch.setattr(Checking, "check", wait_and_check)
    yield gate
    gate.set()


@pytest.fixture
def in_flight():
    """Return `in_flight(count, call)`: during the block this many calls are in flight."""

    @asynccontextmanager
    async def hold(count, call):
        tasks = [asyncio.create_task(call(place)) for place in range(count)]
        await asyncio.sleep(0.3)
        assert not any(task.done() for task in tasks)
        yield tasks
        await asyncio.gather(*tasks)

    return hold


def slow_twilio(service, seconds=1.0):
    """Delay Twilio's responses, so that issues stay in flight."""
    service.sandbox.faults.plan(FaultPlan(endpoint="messages", kind="slow", seconds=seconds))


async def test_sends_use_half_of_the_slots_at_most(start, in_flight, expect):
    """If issues use half of the slots, issue and resend are refused; verify, read and cancel are not."""
    service = await start(otp_max_in_flight=8)
    issued = await service.issue()
    one = f"{ISSUE}/{issued['id']}"
    slow_twilio(service)
    async with in_flight(4, lambda place: service.issue(NUMBERS[place])):
        body = expect(await service.call("POST", ISSUE, {"to": NUMBERS[9]}), 503, "overloaded")
        assert (body["retry_after"], "verification_id" in body) == (1, False)
        expect(await service.call("POST", one + "/resend", key=issued["client_token"]), 503, "overloaded")
        assert (await service.verify(issued["id"], "0000"))["verdict"] == "wrong_code"
        assert (await service.verify(issued["id"], *service.codes()))["verdict"] == "approved"
        assert (await service.read(issued["id"]))["status"] == "approved"
        assert (await service.call("POST", one + "/cancel"))[0] == 200
    service.sandbox.faults.end()
    await service.issue(NUMBERS[9])
    assert len(service.messages(NUMBERS[9])) == 1


async def test_without_a_free_slot_only_probes_are_served(start, in_flight, gate, expect):
    """If all slots are in use, every endpoint refuses requests, except /livez, /readyz and /metrics."""
    service = await start(otp_max_in_flight=6)
    issued = await service.issue()
    one = f"{ISSUE}/{issued['id']}"
    async with in_flight(6, lambda _: service.verify(issued["id"], "0000")):
        expect(await service.call("POST", one + "/verify", {"code": "0000"}), 503, "overloaded")
        expect(await service.call("POST", one + "/verify", {"code": "0000"}, key="nobody"), 503, "overloaded")
        expect(await service.call("GET", one), 503, "overloaded")
        expect(await service.call("POST", one + "/cancel"), 503, "overloaded")
        expect(await service.call("POST", ISSUE, {"to": NUMBERS[1]}), 503, "overloaded")
        expect(await service.call("POST", f"/twilio/status/{issued['id']}/1"), 503, "overloaded")
        for probe in ("/livez", "/readyz", "/metrics"):
            assert (await service.call("GET", probe))[0] == 200, probe
        gate.set()
    assert (await service.read(issued["id"]))["attempts_remaining"] == 0


async def test_checks_may_use_the_slots_of_sends_but_not_vice_versa(start, in_flight, gate, expect):
    """If checks use half of the slots, issues are refused, and further checks are not."""
    service = await start(otp_max_in_flight=6)
    issued = await service.issue()
    async with in_flight(3, lambda _: service.verify(issued["id"], "0000")):
        expect(await service.call("POST", ISSUE, {"to": NUMBERS[1]}), 503, "overloaded")
        gate.set()
        assert (await service.verify(issued["id"], "0000"))["valid"] is False


async def test_every_slot_is_released(start, monkeypatch, in_flight):
    """Responses, refusals, errors and clients that disconnect all release their slot."""
    service = await start(otp_max_in_flight=4)

    async def fail(*_, **__):
        raise RuntimeError("on purpose")

    with monkeypatch.context() as patch:
        patch.setattr(Issuing, "issue", fail)
        assert [(await service.call("POST", ISSUE, {"to": NUMBERS[0]}))[0] for _ in range(5)] == [500] * 5
    assert [(await service.call("POST", ISSUE, {"to": "+1"}))[0] for _ in range(5)] == [422] * 5
    assert [(await service.call("GET", f"{ISSUE}/x", key="nobody"))[0] for _ in range(5)] == [401] * 5
    slow_twilio(service, seconds=0.4)
    for number in NUMBERS[:2]:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await service.issue(number)
    await asyncio.sleep(0.6)
    async with in_flight(2, lambda place: service.issue(NUMBERS[place + 10])):
        pass
    assert len(service.messages(NUMBERS[11])) == 1


async def test_a_shed_request_is_logged(start, in_flight, expect):
    """The log names the route and the problem, with the request id of the response."""
    events = []
    service = await start(otp_max_in_flight=2, event_log=lambda event, /, **fields: events.append((event, fields)))
    slow_twilio(service)
    async with in_flight(1, lambda place: service.issue(NUMBERS[place])):
        response = await service.call("POST", ISSUE, {"to": NUMBERS[9]})
        expect(response, 503, "overloaded")
        [line] = [fields for event, fields in events if fields.get("problem") == "overloaded"]
    assert (line["route"], line["status"]) == (ISSUE, 503)
    assert line["request_id"] == response[2]["X-Request-Id"]


async def test_slow_clients_hold_no_slot(start):
    """More slow clients than slots, with or without a credential, delay no other request."""
    service = await start(otp_max_in_flight=4)
    port = int(service.url.rpartition(":")[2])
    issued = await service.issue()
    token = f"Authorization: Bearer {issued['client_token']}\r\nContent-Type: application/json\r\n"
    form = "Content-Type: application/x-www-form-urlencoded\r\n"
    beginnings = [
        f"POST /twilio/status/{issued['id']}/1 HTTP/1.1\r\nHost: x\r\n{form}Content-Length: 900\r\n\r\nMessageSid=",
        f"POST {ISSUE}/{issued['id']}/verify HTTP/1.1\r\nHost: x\r\n{token}Content-Length: 900\r\n\r\n{{",
    ]
    slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(12)]
    for number, (_, writer) in enumerate(slow):
        writer.write(beginnings[number % 2].encode())
    await asyncio.sleep(0.3)
    await service.issue(NUMBERS[1])
    assert (await service.verify(issued["id"], *service.codes()))["verdict"] == "approved"
    for _, writer in slow:
        writer.close()
