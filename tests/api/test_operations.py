"""The promises of `service.api.operations`: alive without Redis, ready with it, numbers that every worker shares."""

import asyncio
from collections import Counter
from dataclasses import dataclass

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.api.call import call_of
from service.api.operations import OperationsDoors, OperationsView
from service.api.problems import ProblemAnswer
from service.core.ports import StoreUnavailable

CALL = call_of({"type": "http", "path": "/", "headers": []})


@dataclass
class Queue:
    """A queue at a glance."""

    owed: int = 0
    oldest_due_ms: int | None = None
    dead: int = 0
    halted: str | None = None


class View:
    """What the doors may ask, counted."""

    def __init__(self):
        self.asked = 0
        self.queue = Queue()
        self.is_away = False

    async def look(self):
        self.asked += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise StoreUnavailable("ZCARD: secret.host")
        return self.queue

    async def totals(self):
        return Counter()


@pytest.fixture
def now():
    """Give a clock that stands still until it is moved."""
    return [50.0]


@pytest.fixture
def view():
    """Give a view that is counted."""
    return View()


@pytest.fixture
def doors(view, now):
    """Give the doors over that view and clock."""
    asked = OperationsView(queue=view.look, totals=view.totals, metrics_text=lambda *_: b"")
    return OperationsDoors(asked, clock=lambda: now[0])


async def test_readiness_asks_redis_at_most_once_a_second(doors, view, now):
    """However many probes come, at once or one by one, Redis is asked once a second."""
    answers = await asyncio.gather(*(doors.readyz(CALL) for _ in range(100)))
    assert ({answer.status for answer in answers}, view.asked) == ({200}, 1)
    now[0] += 0.9
    await doors.readyz(CALL)
    assert view.asked == 1
    now[0] += 0.1
    await doors.readyz(CALL)
    assert view.asked == 2


async def test_redis_away_is_asked_no_more_often(doors, view, now):
    """While Redis is away the probes share one look a second too, and turn to ready within one second of its return."""
    view.is_away = True
    answers = await asyncio.gather(*(doors.readyz(CALL) for _ in range(50)))
    assert ({answer.status for answer in answers}, view.asked) == ({503}, 1)
    view.is_away = False
    now[0] += 1.0
    assert (await doors.readyz(CALL)).status == 200


async def test_a_halted_worker_does_not_make_the_service_unready(doors, view):
    """Refused credentials stop confirmations, not checks: readiness stays 200 and says what is wrong."""
    view.queue = Queue(owed=3, dead=1, halted="401 (20003)")
    answer = await doors.readyz(CALL)
    assert answer.status == 200
    assert b'"confirming":"halted: 401 (20003)","owed":3,"dead":1' in answer.body


async def test_redis_away_is_not_described_to_strangers(doors, view):
    """The 503 of a probe has its wait, and no word of where Redis is."""
    view.is_away = True
    answer = await doors.readyz(CALL)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.body == ProblemAnswer("store_unavailable", retry_after_seconds=1).body


async def test_a_draining_process_is_not_ready(doors):
    """Once it drains, a process says 503 with a wait, whatever it said before."""
    assert (await doors.readyz(CALL)).status == 200
    doors.drain()
    answer = await doors.readyz(CALL)
    assert (answer.status, answer.headers) == (503, {"retry-after": "1"})


async def test_over_http_alive_means_alive_and_ready_means_redis(start, gate, expect, eventually):
    """With Redis away /livez stays 200 and /readyz is 503 until Redis is back; no probe needs a key."""
    service = await start(redis_url=gate.url)
    assert (await service.call("GET", "/readyz", key="nobody"))[0] == 200
    await gate.shut()

    async def ready(wanted):
        answer = await service.call("GET", "/readyz", key="nobody")
        return answer if answer[0] == wanted else None

    expect(await eventually(lambda: ready(503)), 503, "store_unavailable")
    assert (await service.call("GET", "/livez", key="nobody"))[:2] == (200, {"status": "alive"})
    await gate.open()
    assert await eventually(lambda: ready(200))


async def metrics(service, **options):
    """Scrape; give {(sample, labels in the order of their names…): value}."""
    async with service.http.get("/metrics", **options) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = await answer.text()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, *(label for _, label in sorted(sample.labels.items()))): sample.value for sample in samples}


async def test_the_funnel_is_counted(start, eventually):
    """An issue, a resend, a wrong and a right code, and the confirmation are each counted once, by country."""
    service = await start()
    issued = await service.issue()
    await service.call("POST", f"/v1/verifications/{issued['id']}/resend")
    [first, second] = service.codes()
    wrong = next(code for code in ("000000", "111111", "222222") if code not in (first, second))
    await service.verify(issued["id"], wrong)
    await service.verify(issued["id"], second)

    async def settled():
        numbers = await metrics(service)
        return numbers if numbers.get(("otp_sends_total", "sms", "US", "confirmed")) else None

    numbers = await eventually(settled)
    for event in ("issued", "resent", "approved", "confirmed"):
        assert numbers[("otp_sends_total", "sms", "US", event)] == 1, event
    assert numbers[("otp_checks_total", "wrong_code")] == numbers[("otp_checks_total", "approved")] == 1
    assert (numbers[("otp_owed",)], numbers[("otp_dead",)], numbers[("otp_confirming_halted",)]) == (0, 0, 0)


async def test_two_services_on_one_redis_show_the_same_numbers(start):
    """The counters live in Redis, so it does not matter which process answers a scrape."""
    one, two = await start(), await start()
    await one.issue()
    await two.issue(to="+14155550124")
    seen = [await metrics(service) for service in (one, two)]
    assert [numbers[("otp_sends_total", "sms", "US", "issued")] for numbers in seen] == [2, 2]


async def test_an_unpaid_debt_shows(start, eventually):
    """While Twilio does not take a confirmation, the gauges say how many are owed and that one is overdue or due."""
    service = await start(otp_worker=False)
    issued = await service.issue()
    await service.verify(issued["id"], service.codes()[0])
    numbers = await metrics(service)
    assert numbers[("otp_owed",)] == 1
    assert numbers[("otp_owed_overdue_seconds",)] >= 0

    async def overdue():
        return (await metrics(service))[("otp_owed_overdue_seconds",)] > 0.05

    assert await eventually(overdue)


async def test_the_numbers_can_be_locked(start, expect):
    """With `OTP_METRICS_KEY` a scrape needs a key with the scope `operate`; without it anyone may scrape."""
    service = await start(otp_metrics_key=True)
    expect(await service.call("GET", "/metrics", key="otp_sk_unknown"), 401, "unauthenticated")
    assert await metrics(service, headers={"Authorization": f"Bearer {service.key}"})


async def test_the_numbers_are_open_by_default(running):
    """Without `OTP_METRICS_KEY` whoever reaches the port may scrape."""
    assert await metrics(running, headers={})
