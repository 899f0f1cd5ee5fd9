"""The promises of `service.api.operations`: liveness without Redis, readiness with it, metrics of all workers."""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.api.operations import OperationsEndpoints, OperationsView
from service.core.partitions import PARTITIONS
from service.core.store_health import StoreCause, StoreFault, StoreHealth, StoreUnavailable
from service.http.request import request_of

REFUSED = StoreFault(StoreCause.REFUSED, "Start Redis.")
CALL = request_of({"type": "http", "method": "GET", "path": "/", "headers": []}, None)


@dataclass
class Queue:
    """The state of a queue."""

    pending: int = 0
    failed: int = 0
    oldest_seconds: float = 0.0
    halted: str | None = None
    is_worked: bool = True


class View:
    """What the endpoints may read, with counted reads."""

    def __init__(self):
        self.tries = self.looks = self.renderings = 0
        self.faults = {}
        self.unwritten = {}
        self.queue = Queue()
        self.awaiting_sids = 0
        self.is_away = self.is_queue_away = False
        self.gauges = {}
        self.sending = None
        self.lag = 0.0
        self.is_draining = False
        self.retries_waiting = {"attach_sid": 0}

    async def health(self):
        self.tries += 1
        await asyncio.sleep(0)
        return StoreHealth(PARTITIONS, dict.fromkeys(PARTITIONS, REFUSED) if self.is_away else self.faults)

    async def look(self):
        self.looks += 1
        await asyncio.sleep(0)
        if self.is_away or self.is_queue_away:
            raise StoreUnavailable("queue: secret.host")
        return self.queue

    async def awaiting_sid(self):
        if self.is_away or self.is_queue_away:
            raise StoreUnavailable("awaiting_sid: secret.host")
        return self.awaiting_sids

    async def budget(self):
        if self.is_away:
            raise StoreUnavailable("HGETALL: secret.host")

    async def totals(self):
        if self.is_away:
            raise StoreUnavailable("HGETALL: secret.host")
        return Counter()

    def metrics_text(self, totals, gauges):
        self.gauges, self.shown = gauges, totals
        self.renderings += 1
        return b"text"


@pytest.fixture
def now():
    """Return a clock that advances only when a test moves it."""
    return [50.0]


@pytest.fixture
def view():
    """Return a view with counted reads."""
    return View()


@pytest.fixture
def endpoints(view, now):
    """Return the endpoints over that view and clock."""
    asked = OperationsView(
        health=view.health,
        queue=view.look,
        awaiting_sid=view.awaiting_sid,
        budget=view.budget,
        totals=view.totals,
        sending_halted=lambda: view.sending,
        is_draining=lambda: view.is_draining,
        event_loop_lag=lambda: view.lag,
        retries_waiting=lambda: view.retries_waiting,
        errors_unwritten=lambda: view.unwritten,
        metrics_text=view.metrics_text,
    )
    return OperationsEndpoints(asked, clock=lambda: now[0])


async def ready(endpoints):
    """Read the readiness, which must be a 200; return the body."""
    response = await endpoints.readyz(CALL)
    assert response.status == 200
    return json.loads(response.body)


async def test_a_draining_process_is_unready_at_once(endpoints, view):
    """When the process starts to drain, the cached result is discarded, and Redis is not read."""
    await ready(endpoints)
    view.is_draining = True
    response = await endpoints.readyz(CALL)
    assert (response.status, json.loads(response.body)["code"]) == (503, "draining")
    assert view.tries == 1


async def test_readiness_asks_redis_at_most_once_a_second(endpoints, view, now):
    """However many probes arrive, together or one by one, Redis is read once a second."""
    responses = await asyncio.gather(*(endpoints.readyz(CALL) for _ in range(100)))
    assert ({response.status for response in responses}, view.tries, view.looks) == ({200}, 1, 1)
    now[0] += 0.9
    await endpoints.readyz(CALL)
    assert (view.tries, view.looks) == (1, 1)
    now[0] += 0.1
    await endpoints.readyz(CALL)
    assert (view.tries, view.looks) == (2, 2)


async def test_during_an_outage_redis_is_asked_no_more_often(endpoints, view, now):
    """Without Redis the probes also share one read a second, and succeed within one second of its return."""
    view.is_away = True
    responses = await asyncio.gather(*(endpoints.readyz(CALL) for _ in range(50)))
    assert ({response.status for response in responses}, view.tries, view.looks) == ({503}, 1, 1)
    view.is_away = False
    now[0] += 1.0
    assert (await endpoints.readyz(CALL)).status == 200


async def test_a_halted_worker_does_not_make_the_service_unready(endpoints, view):
    """Refused credentials stop confirmations, not checks: readiness stays 200 and reports the problem."""
    view.queue = Queue(pending=3, failed=1, halted="401 (20003)")
    assert await ready(endpoints) == {
        "status": "ready", "store": "ok", "process": "ok", "api_keys": "ok",
        "sending": "ok", "confirming": "halted: 401 (20003)", "outbox_pending": 3, "outbox_failed": 1,
    }  # fmt: skip


async def test_halted_sending_does_not_make_the_service_unready(endpoints, view):
    """While Twilio fails, codes are still checked: readiness stays 200 with the reason, and the gauge is 1."""
    view.sending = "Twilio failed 5 times in a row"
    assert (await ready(endpoints))["sending"] == "halted: Twilio failed 5 times in a row"
    await endpoints.metrics(CALL)
    assert view.gauges["otp_sending_halted"] == 1


async def test_a_late_event_loop_is_told(endpoints, view):
    """A process that is late says so itself, and stays ready: Redis gets no blame, and the gauge is the lag."""
    view.lag = 1.25
    assert (await ready(endpoints))["process"] == "overloaded: up to 1.2 s late within the last minute"
    await endpoints.metrics(CALL)
    assert view.gauges["otp_event_loop_lag_seconds"] == 1.25


async def test_metrics_are_rendered_once_a_second(endpoints, view, now):
    """However many scrapes come, at once or one by one, Redis is asked and the text is rendered once a second."""
    answers = await asyncio.gather(*(endpoints.metrics(CALL) for _ in range(100)))
    assert ({answer.body for answer in answers}, view.renderings, view.looks) == ({b"text"}, 1, 1)
    now[0] += 0.9
    await endpoints.metrics(CALL)
    assert view.renderings == 1
    now[0] += 0.1
    await endpoints.metrics(CALL)
    assert view.renderings == 2


async def test_a_service_without_a_worker_is_ready_and_reports_it(endpoints, view):
    """Without a worker no confirmation is posted, but codes are checked: 200, and the body reports it."""
    view.queue = Queue(pending=7, is_worked=False)
    assert (await ready(endpoints))["confirming"] == "no worker is alive"


async def test_a_halt_is_reported_rather_than_a_missing_worker(endpoints, view):
    """Of two errors, readiness reports the one to fix first: the refused credentials."""
    view.queue = Queue(halted="401 (20003)", is_worked=False)
    assert (await ready(endpoints))["confirming"] == "halted: 401 (20003)"


async def test_an_unavailable_outbox_does_not_make_the_service_unready(endpoints, view, now):
    """If only the queue is unavailable, readiness is 200 without its numbers, and they return by themselves."""
    view.is_queue_away = True
    assert await ready(endpoints) == {
        "status": "ready", "store": "ok", "process": "ok", "api_keys": "ok",
        "sending": "ok", "confirming": "unknown: part of the queue does not answer",
    }  # fmt: skip
    view.is_queue_away = False
    now[0] += 1.0
    assert (await ready(endpoints))["outbox_pending"] == 0


async def test_an_outage_is_reported_without_the_address_of_redis(endpoints, view):
    """The 503 of a probe has a wait, the partitions, the cause and the fix, but not the address of Redis."""
    view.is_away = True
    response = await endpoints.readyz(CALL)
    assert (response.status, response.headers["retry-after"]) == (503, "1")
    told = json.loads(response.body)
    assert told["code"] == "store_unavailable"
    assert told["detail"] == "Partitions 0 1 2 3 4 5 6 7 8 9 a b c d e f: refused. Start Redis."


async def test_one_partition_that_works_is_enough(endpoints, view):
    """With fifteen partitions unavailable: 200, and they are listed with cause and fix, grouped by cause."""
    lacking = StoreFault(StoreCause.NO_PERMISSION, "Give the right.", "+hset")
    view.faults = dict.fromkeys(PARTITIONS[:14], REFUSED) | {"f": lacking}
    told = await ready(endpoints)
    assert told["store"] == "partly"
    assert told["unavailable"] == [
        {"partitions": list(PARTITIONS[:14]), "cause": "refused", "fix": "Start Redis."},
        {"partitions": ["f"], "cause": "no_permission", "fix": "Give the right. Missing: +hset."},
    ]
    await endpoints.metrics(CALL)
    gauges = {name: value for name, value in view.gauges.items() if name.startswith("otp_partitions")}
    assert gauges == {
        "otp_partitions_unavailable:refused": 14, "otp_partitions_unavailable:no_permission": 1,
    }  # fmt: skip


async def test_the_gauges_show_the_queue(endpoints, view, now):
    """Each number of the queue is one gauge; a halt and a running worker are 1 or 0."""
    view.queue = Queue(pending=3, failed=1, oldest_seconds=12.5, halted="401", is_worked=False)
    view.awaiting_sids = 2
    view.retries_waiting["attach_sid"] = 5
    await endpoints.metrics(CALL)
    assert view.gauges == {
        "otp_outbox_pending": 3, "otp_outbox_failed": 1, "otp_outbox_oldest_seconds": 12.5, "otp_sending_halted": 0,
        "otp_confirming_halted": 1, "otp_confirming_worked": 0, "otp_awaiting_sid": 2,
        "otp_retries_waiting:attach_sid": 5, "otp_event_loop_lag_seconds": 0.0,
    }  # fmt: skip
    view.queue = Queue()
    now[0] += 1.0
    await endpoints.metrics(CALL)
    assert (view.gauges["otp_confirming_halted"], view.gauges["otp_confirming_worked"]) == (0, 1)


async def test_numbers_that_cannot_be_read_are_left_out(endpoints, view, now):
    """A scrape without Redis shows the process's own metrics and omits the rest, rather than showing 0."""
    view.is_away = True
    view.unwritten = {"refused": 7}
    assert (await endpoints.metrics(CALL)).status == 200
    assert view.shown is None
    assert view.gauges == {
        "otp_sending_halted": 0, "otp_retries_waiting:attach_sid": 0, "otp_partitions_unavailable:refused": 16,
        "otp_store_errors_unwritten:refused": 7, "otp_event_loop_lag_seconds": 0.0,
    }  # fmt: skip
    now[0] += 1.0
    view.is_away, view.is_queue_away = False, True
    await endpoints.metrics(CALL)
    assert (view.shown, "otp_outbox_pending" in view.gauges) == (Counter(), False)


async def test_over_http_livez_ignores_redis_and_readyz_needs_it(start, gate, expect, eventually):
    """Without Redis /livez stays 200 and /readyz is 503 until Redis is back; no probe needs a key."""
    service = await start(redis_url=gate.url)
    assert (await service.call("GET", "/readyz", key="nobody"))[0] == 200
    await gate.shut()

    async def responds_with(wanted):
        response = await service.call("GET", "/readyz", key="nobody")
        return response if response[0] == wanted else None

    expect(await eventually(lambda: responds_with(503)), 503, "store_unavailable")
    assert (await service.call("GET", "/livez", key="nobody"))[:2] == (200, {"status": "alive"})
    await gate.open()
    assert await eventually(lambda: responds_with(200))


async def metrics(service, **options):
    """Scrape; return {(sample, labels ordered by name…): value}."""
    async with service.http.get("/metrics", **options) as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = await response.text()
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
    assert numbers[("otp_time_to_convert_seconds_count", "sms", "US")] == 1
    assert numbers[("otp_checks_total", "wrong_code")] == numbers[("otp_checks_total", "approved")] == 1
    assert (numbers[("otp_outbox_pending",)], numbers[("otp_outbox_failed",)], numbers[("otp_confirming_halted",)]) == (
        0,
        0,
        0,
    )


async def test_two_services_on_one_redis_show_the_same_numbers(start):
    """The counters live in Redis, so every process returns the same numbers."""
    one, two = await start(), await start()
    await one.issue()
    await two.issue(to="+14155550124")
    seen = [await metrics(service) for service in (one, two)]
    assert [numbers[("otp_sends_total", "sms", "US", "issued")] for numbers in seen] == [2, 2]


async def test_a_pending_confirmation_shows_in_the_gauges(start, eventually):
    """Without a worker, the gauges show how many confirmations are pending, and for how long."""
    service = await start(otp_worker=False)
    issued = await service.issue()
    await service.verify(issued["id"], service.codes()[0])
    numbers = await metrics(service)
    assert (numbers[("otp_outbox_pending",)], numbers[("otp_confirming_worked",)]) == (1, 0)
    assert 0 <= numbers[("otp_outbox_oldest_seconds",)] < 60

    async def older():
        return (await metrics(service))[("otp_outbox_oldest_seconds",)] >= 0.05

    assert await eventually(older)
    status, said, _ = await service.call("GET", "/readyz")
    assert (status, said["confirming"], said["outbox_pending"]) == (200, "no worker is alive", 1)


async def test_a_worker_anywhere_shows_everywhere(start, eventually):
    """A process without a worker reports whether any process has one: the heartbeat is in Redis."""
    alone = await start(otp_worker=False)
    assert (await metrics(alone))[("otp_confirming_worked",)] == 0
    await start()

    async def worked():
        return (await metrics(alone))[("otp_confirming_worked",)] == 1

    assert await eventually(worked)


async def test_without_entries_the_age_is_zero(running):
    """With nothing pending the age of the oldest entry is 0."""
    assert (await metrics(running))[("otp_outbox_oldest_seconds",)] == 0


async def test_the_metrics_can_require_a_key(start, expect):
    """With `OTP_METRICS_KEY` a scrape needs a key with the scope `operate`; without it anyone may scrape."""
    service = await start(otp_metrics_key=True)
    expect(await service.call("GET", "/metrics", key="otp_sk_unknown"), 401, "unauthenticated")
    assert await metrics(service, headers={"Authorization": f"Bearer {service.key}"})


async def test_the_metrics_need_no_key_by_default(running):
    """Without `OTP_METRICS_KEY` anyone who reaches the port may scrape."""
    assert await metrics(running, headers={})
