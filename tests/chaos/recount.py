"""A recount of random journeys: what a report must say of them.

It uses only what callers and people see: the responses to their calls, the verifications as they are read at the end,
and the messages and calls that the simulator has. It knows nothing of counters.
"""

import asyncio
from collections import Counter, defaultdict
from typing import NamedTuple

import aiohttp

from tests.chaos.people import sent_for

AT_THE_END = {"delivered": "delivered", "read": "delivered", "undelivered": "undelivered", "failed": "failed"}
REPORTED_BY_CALLBACKS = ("sent", "delivered", "read", "undelivered", "failed")
CONFIRMABLE = ("sms", "whatsapp")
PRICES = {("*", "sms"): 1, ("DE", "sms"): 4, ("*", "whatsapp"): 2, ("*", "voice"): 3}  # in ten-thousandths
REFUSED = {"sends": "refused", "delivery": "refused", "unconverted": "not_accepted", "errors": None}
READ_AT_ONCE = 16


class Fact(NamedTuple):
    """One thing that a report must count: under which labels, as which figure, and which value of it."""

    hour: str
    country: str
    channel: str
    sender: str
    purpose: str
    action: str
    send_number: str
    name: str
    value: object


async def read_all(system, journeys):
    """List what the simulator has sent, by verification and send; then read every verification, which knows of it."""
    async with aiohttp.ClientSession(system.dependencies.twilio_url) as http:
        async with http.get("/_/callbacks") as response:
            came = {row["sid"] for row in await response.json() if _has_come(row)}
        sent = {}
        for path in ("/_/messages", "/_/calls"):
            async with http.get(path) as response:
                for row in await response.json():
                    if number := sent_for(row):
                        row["has_reported"] = row["sid"] in came
                        sent[row["status_callback"].split("/")[-2], number] = row
    headers, connector = {"Authorization": f"Bearer {system.key}"}, aiohttp.TCPConnector(limit=READ_AT_ONCE)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as http:

        async def read(journey):
            async with http.get(f"{system.url(0)}/v1/verifications/{journey.id}") as response:
                journey.read = await response.json() if response.status == 200 else None

        await asyncio.gather(*(read(journey) for journey in journeys if journey.id is not None))
    return sent


def _has_come(callback):
    """Tell whether a server has taken this callback about a message or a call."""
    is_status = "/twilio/status/" in callback["url"] or "/twilio/call/" in callback["url"]
    return is_status and callback["result"] in range(200, 300)


def recount(journeys, sent):
    """List the facts of all journeys. Each message and call of the simulator must be a send that somebody knows of."""
    counted = [journey for journey in journeys if not journey.is_test]
    known = {(journey.id, send["number"]) for journey in counted for send in (journey.read or {}).get("sends", [])}
    assert sent.keys() <= known, f"sent, and in no verification: {sent.keys() - known}"
    return [fact for journey in counted for fact in _of_journey(journey, sent)]


def _of_journey(journey, sent):
    for place, count in journey.blocked.items():
        yield from [_fact(journey, place[:3], "blocked", place[3])] * count
    if journey.id is None:
        return
    if journey.read is None:  # of a passing fault nothing is left after a minute
        assert (bool(journey.busy), journey.sends) == (True, 0), f"{journey.id} cannot be read"
    record = journey.read or {"status": "failed", "sends": []}
    status = {"pending": "open", "max_attempts_reached": "locked"}.get(record["status"], record["status"])
    busy = Counter(journey.busy)
    for send in record["sends"]:
        message = sent.get((journey.id, send["number"]))
        is_refused = send["status"] == "failed" and message is None
        _agree(send, message)
        place = _hour(send), send["channel"], send["number"]
        if is_refused:
            busy -= Counter([place])
        for name, value in _of_send(journey, send, status, is_refused=is_refused):
            yield _fact(journey, place, name, value, _sender(send, message))
    for place, count in busy.items():  # those that left no trace in the record
        if not record["sends"]:
            yield _fact(journey, place, "verifications", status)
        for name, value in REFUSED.items():
            yield from [_fact(journey, place, name, value)] * count


def _fact(journey, place, name, value, sender=""):
    hour, channel, number = place
    return Fact(hour, journey.country, channel, sender, journey.purpose, journey.action, str(number), name, value)


def _hour(send):
    return f"{send['sent_at'][:13]}:00:00+00:00"


def _agree(send, message):
    """Check that a verification says of the end of a message what the simulator says."""
    if send["status"] in AT_THE_END and message is not None:
        statuses = {"completed": "delivered", "busy": "undelivered", "no-answer": "undelivered", "canceled": "failed"}
        at_twilio = statuses.get(message["status"], message["status"])
        assert AT_THE_END[send["status"]] in (AT_THE_END.get(at_twilio), "undelivered"), (send, message)


def _sender(send, message):
    """Return what the callbacks name, which is known as soon as one has come."""
    if message is None:
        return ""
    is_told = send["status"] in REPORTED_BY_CALLBACKS or (send["status"] == "queued" and message["has_reported"])
    return message["from"] if is_told else ""


def _of_send(journey, send, status, *, is_refused):
    delivery = "refused" if is_refused else {"queued": "accepted", "read": "delivered"}.get(send["status"])
    delivery = delivery or send["status"]
    outcome = journey.outcomes.get(send["number"])
    if journey.action in ("link", "reply", "call") and send["feedback"] != "none":
        outcome = "c" if status == "approved" else "l"  # one message was answered, and nobody is told a verdict
    if send["number"] == 1:
        yield "verifications", status
    yield "delivery", delivery
    if delivery in ("refused", "undelivered", "failed"):
        yield "errors", send["error_code"]
    if delivery not in ("refused", "unknown"):
        price = PRICES.get((journey.country, send["channel"])) or PRICES["*", send["channel"]]
        yield from [("cost", "total")] * price
        if send["channel"] in CONFIRMABLE:
            yield "twilio", "attempted"
            yield "twilio", "status_ok" if delivery in ("accepted", "sent", "delivered") else "errors"
            if outcome:
                yield "twilio", "conversions"
    if delivery == "delivered":
        yield "times", "deliver"
    if outcome == "c":
        yield "times", "convert"
        yield "sends", "confirmed"
        return
    yield "sends", "confirmed_late" if outcome == "l" else delivery
    yield "unconverted", _reason(journey, send["number"], delivery, status, is_late=outcome == "l")


def _reason(journey, number, delivery, status, *, is_late):
    for reason, holds in (
        ("too_late", is_late),
        ("not_delivered", delivery in ("undelivered", "failed")),
        ("not_accepted", delivery == "refused"),
        ("another_send", status == "approved"),
        ("open", status == "open"),
        ("wrong_codes", journey.wrong_after >= number),
        ("nothing_typed", delivery == "delivered"),
        ("not_accepted", delivery == "unknown"),
    ):
        if holds:
            return reason
    return "no_report"


def grouped(facts, group_by, filters):
    """Group facts as a report does: counts of each value of each figure, by the values of two labels, or of one."""
    groups, countries = defaultdict(lambda: defaultdict(Counter)), defaultdict(set)
    for fact in facts:
        if all(getattr(fact, label) == value for label, value in filters.items()):
            key = tuple(fact.hour[:10] if label == "day" else getattr(fact, label) for label in group_by)
            groups[key][fact.name][fact.value] += 1
            if fact.name == "twilio" and fact.country not in countries[key]:
                countries[key].add(fact.country)
                groups[key]["twilio"]["countries"] += 1
    return {key: {name: dict(counts) for name, counts in figures.items()} for key, figures in groups.items()}
