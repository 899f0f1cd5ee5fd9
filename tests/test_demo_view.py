"""What the demo's page is given of a verification: words instead of field names, and sentences for every fault."""

import asyncio
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import get_args

import aiohttp
import pytest

from service.core.actions import Action
from service.core.verification import Delivery, Feedback
from service.demo import stage
from service.demo.recoveries import recoveries
from service.demo.view import phone_of, verification_of, view
from service.sandbox import Call, CallbackPost, FaultPlan, SimulatedFault, create_sandbox
from service.sandbox.faults import Endpoint, Kind
from service.store import fields
from service.store.fields import FIELDS, RECORD, REQUEST, SEND
from tests.free_ports import free_port

ID = "ve_" + "0" * 32
URL = f"http://127.0.0.1:8000/twilio/status/{ID}/1"
AT = datetime(2026, 11, 1, tzinfo=UTC)
NOTHING_YET = {"number": 1, "sid": None, "delivery": None, "feedback": None, "twilio": None}
WAITS = NOTHING_YET | {"delivery": Delivery.UNKNOWN, "feedback": Feedback.PENDING}
OVER = {
    "number": 1, "sid": "SM1", "delivery": Delivery.DELIVERED, "feedback": Feedback.CONFIRMED,
    "twilio": {"status": "delivered"},
}  # fmt: skip
NOT_DELIVERED = OVER | {"delivery": Delivery.UNDELIVERED, "feedback": Feedback.NONE}
ON_ITS_WAY = OVER | {"delivery": Delivery.QUEUED, "feedback": None, "twilio": {"status": "sent"}}
REFUSED = NOTHING_YET | {"delivery": Delivery.FAILED}


def possible(endpoint, kind):
    """Plan a fault; None if the simulator knows no such fault."""
    try:
        return FaultPlan(endpoint=endpoint, kind=kind, code=21610 if kind == "refuse" else None)
    except ValueError:
        return None


PLANS = [plan for endpoint in get_args(Endpoint) for kind in get_args(Kind) if (plan := possible(endpoint, kind))]


def simulated(endpoint, kind, *, code=None, url=URL, is_answered=True):
    """Make the simulator's entry of a fault."""
    return SimulatedFault(
        endpoint=endpoint, kind=kind, seconds=3, code=code, to=None, sid=None, status_callback=url, at=AT,
        is_answered=is_answered,
    )  # fmt: skip


def record_with(*known, **more):
    """Make a record that has these fields, and all fields of a first send."""
    sends = {FIELDS.send_key(field.name, 1).encode(): b"1" for field in SEND}
    return {field.key.encode(): b"1" for field in known if ":" not in field.key} | sends | more


@pytest.fixture
def ledger():
    """Return the ledger of a simulator."""
    return create_sandbox().ledger


def test_every_field_is_shown_in_words(ledger):
    """No name in the details is a field's name in Redis, whichever fields the table has."""
    code = FIELDS.key("code").encode() + b"\x00\xff" * 16
    record = record_with(*RECORD, *REQUEST) | {code: b"1"}
    names = [detail["name"] for detail in view(ID, record, ledger)["details"]]
    assert len(set(names)) == len(record)
    assert {key.decode() for key in record if key.isascii()}.isdisjoint(names)
    assert f"message that carries the secret with keyed hash {'00ff' * 16}" in names
    assert "delivery status (rank, word) of message 1" in names


def test_an_added_field_is_shown_without_any_other_change(ledger, monkeypatch):
    """A field that is new in the table is shown under its name in words, one that nobody knows as it is stored."""
    wider = fields.Fields(sends=(*SEND, fields.Field("price_in_cents", "pr:")))
    monkeypatch.setattr("service.demo.view.FIELDS", wider)
    details = view(ID, {b"pr:1": b"7", b"zz:\xff": b"8"}, ledger)["details"]
    assert details == [{"name": "price in cents of message 1", "value": "7"}, {"name": "7a7a3aff", "value": "8"}]


def test_a_verification_that_is_gone_shows_nothing(ledger):
    """Of a verification that Redis has deleted, the page gets empty lists."""
    assert view(ID, {}, ledger) == {
        "id": ID, "reference": None, "action": "code", "status": None, "attempts": 0, "messages": [], "recoveries": [],
        "details": [],
    }  # fmt: skip


@pytest.mark.parametrize("plan", [plan for plan in PLANS if plan.endpoint in ("messages", "callbacks", "feedback")])
def test_every_fault_has_its_sentences(plan, ledger):
    """Of each fault that can be planned, the page says what went wrong and what the service does, at its step."""
    fault = simulated(plan.endpoint, plan.kind, code=plan.code)
    for message in (WAITS, OVER, NOT_DELIVERED, REFUSED):
        for told in recoveries([message], [(1, fault)], ledger):
            assert "{" not in told.trouble + told.answer
            assert told.trouble.endswith(".")
            assert told.answer.endswith(".")
            assert told.step in {"messages": ("sent", "sid"), "callbacks": ("delivered",)}.get(
                plan.endpoint, ("confirmed",)
            )
    end = NOT_DELIVERED | {"feedback": Feedback.CONFIRMED} if plan.kind == "fail" else OVER
    [told] = recoveries([end], [(1, fault)], ledger)
    assert told.is_over or told.trouble.startswith("Twilio refused the message")


@pytest.mark.parametrize(
    ("endpoint", "kind", "before", "after"),
    [
        ("messages", "hang", NOTHING_YET, WAITS),
        ("messages", "reset", NOTHING_YET, WAITS),
        ("messages", "lost_response", NOTHING_YET, WAITS),
        ("messages", "slow", NOTHING_YET, OVER),
        ("messages", "refuse", NOTHING_YET, REFUSED),
        ("callbacks", "fail", ON_ITS_WAY, NOT_DELIVERED),
        ("callbacks", "late", ON_ITS_WAY, OVER),
        ("callbacks", "drop", ON_ITS_WAY, OVER),
        ("callbacks", "double", ON_ITS_WAY, OVER),
        ("feedback", "slow", WAITS, OVER),
        ("feedback", "hang", WAITS, OVER),
    ],
)
def test_a_fault_is_told_when_it_has_shown(ledger, endpoint, kind, before, after):
    """Before the service has met a fault, no line tells of it."""
    fault = simulated(endpoint, kind, code=21610 if kind == "refuse" else None)
    assert recoveries([before], [(1, fault)], ledger) == []
    assert len(recoveries([after], [(1, fault)], ledger)) == 1


@pytest.mark.parametrize("plan", [plan for plan in PLANS if plan.endpoint in ("messages", "feedback")])
def test_no_fault_is_told_before_its_answer(ledger, plan):
    """While the simulator's response is on its way, the service has met no fault: no line tells of it or counts it."""
    on_its_way = simulated(plan.endpoint, plan.kind, code=plan.code, is_answered=False)
    for message in (NOTHING_YET, WAITS, OVER):
        assert recoveries([message], [(1, on_its_way)], ledger) == []
    answered = simulated(plan.endpoint, plan.kind, code=plan.code)
    for told in recoveries([OVER], [(1, answered), (1, on_its_way)], ledger):
        assert "2 times" not in told.trouble


@pytest.mark.parametrize("plan", [plan for plan in PLANS if plan.endpoint in ("messages", "callbacks", "feedback")])
@pytest.mark.parametrize("action", [action for action in Action if action != "code"])
def test_no_line_calls_another_secret_a_code(plan, action, ledger):
    """Lines about a password or a link have its own words."""
    fault = simulated(plan.endpoint, plan.kind, code=plan.code)
    for messages in ([WAITS], [OVER], [NOT_DELIVERED], [REFUSED], [NOT_DELIVERED, OVER | {"number": 2}]):
        for told in recoveries(messages, [(1, fault)], ledger, action):
            assert not re.search(r"\bcodes?\b|[{}]", told.trouble + told.answer)


def test_nobody_is_sent_for_a_new_code_after_signing_in(ledger):
    """Once a code was typed, no line offers a new one: it says which message carried the code."""
    undelivered, hang = simulated("callbacks", "fail", code=30003), simulated("messages", "hang")
    unknown = WAITS | {"feedback": None}
    for message, fault in ((NOT_DELIVERED, undelivered), (unknown, hang)):
        [told] = recoveries([message], [(1, fault)], ledger)
        assert "new code" in told.answer
        assert not told.is_over
        [told] = recoveries([message, OVER | {"number": 2}], [(1, fault)], ledger)
        assert "another message was typed" in told.answer
        assert told.is_over
    [told] = recoveries([NOT_DELIVERED | {"feedback": Feedback.PENDING}], [(1, undelivered)], ledger)
    assert "was typed all the same" in told.answer
    assert told.is_over
    [told] = recoveries([WAITS], [(1, hang)], ledger)
    assert "new code" not in told.answer


def test_a_call_belongs_to_its_verification(ledger):
    """A call by the service is found by its status callback, and is shown with its channel; one by a person is not."""
    call = Call(
        sid="CA1", to="+14155550123", sender="+15005550006", status="ringing", created_at=AT, updated_at=AT,
        direction="outbound-api", status_callback=URL.replace("status", "call"),
    )  # fmt: skip
    ledger.set_call(call)
    assert verification_of(call, ledger) == ID
    assert verification_of(replace(call, status_callback=None, direction="inbound", sid="CA2"), ledger) is None
    assert phone_of(ID, ledger) == "+14155550123"
    [shown] = view(ID, raw({"sent_at_ms": b"1", "channel": b"voice"}), ledger)["messages"]
    assert (shown["channel"], shown["twilio"]["status"], shown["twilio"]["confirmed_at_ms"]) == (
        "voice", "ringing", None,
    )  # fmt: skip


def raw(fields_of_send):
    """Return fields of the first send under their names in Redis."""
    return {FIELDS.send_key(name, 1).encode(): value for name, value in fields_of_send.items()}


def test_a_refused_message_was_stored_before(ledger):
    """Of a message that Twilio refused, the code is gone from the record; the page still has the message."""
    record = record_with() | raw({"status": b"3failed", "error_code": b"21610"})
    [message] = view(ID, record, ledger)["messages"]
    assert (message["digest"], message["delivery"], message["error"]) == (None, "failed", "21610")


def test_instants_and_statuses_are_readable(ledger):
    """The details show the value as it is stored, and of an instant also the time of day."""
    record = raw({"sent_at_ms": b"1767225600123", "status": b"3delivered"}) | {FIELDS.key("attempts").encode(): b"2"}
    values = {detail["name"]: detail["value"] for detail in view(ID, record, ledger)["details"]}
    assert values["sent at (ms) of message 1"] == "1767225600123 (00:00:00.123 UTC)"
    assert values["delivery status (rank, word) of message 1"] == "3, delivered"
    assert values["attempts counted"] == "2"


def test_a_lost_sid_came_by_callback_or_was_looked_up(ledger):
    """The page says how the SID was recovered: from a callback that was accepted, else from Twilio's list."""
    fault = (1, simulated("messages", "lost_response"))
    assert recoveries([WAITS], [fault], ledger)[0].answer.startswith("The service waits for the status callback")
    for result, answer in (("rt", "list of messages"), (503, "list of messages"), (204, "The status callback brought")):
        ledger.add_callback(CallbackPost(sid="SM1", message_status="sent", url=URL, result=result, at=AT))
        assert answer in recoveries([OVER], [fault], ledger)[0].answer


def test_repeated_faults_are_told_once(ledger):
    """Three refused reports are one line with their number; a fault of another message has its own."""
    faults = [(1, simulated("feedback", "500"))] * 3 + [(2, simulated("feedback", "500"))]
    told = recoveries([OVER, WAITS | {"number": 2}], faults, ledger)
    assert [(each.trouble, each.is_over) for each in told] == [
        ("Twilio refused the report (500, 3 times).", True),
        ("Twilio refused the report (500).", False),
    ]


def test_entries_of_others_belong_to_no_verification(ledger):
    """A message whose status callback is not ours, or that has none, changes nothing on the page."""
    assert verification_of(simulated("messages", "hang"), ledger) == ID
    for url in (None, "http://127.0.0.1:8000/elsewhere"):
        assert verification_of(simulated("messages", "hang", url=url), ledger) is None


async def test_the_window_shows_a_verification_as_it_changes(monkeypatch):
    """From issue to confirmation the stream has the verification with its instant, message, SID and feedback."""
    seen = []

    async def watch(url, key, _window):
        headers = {"Authorization": f"Bearer {key}"}
        async with aiohttp.ClientSession(url, headers=headers) as http, http.get("/demo/window") as stream:
            assert (await stream.content.readline()).startswith(b":")
            async with http.post("/v1/verifications", json={"to": "+14155550178"}) as issued:
                verification_id = (await issued.json())["id"]
            while not seen or seen[-1]["messages"][0]["delivery"] != "delivered":
                line = await asyncio.wait_for(stream.content.readline(), 10)
                if line.startswith(b"data: "):
                    seen.append(json.loads(line.removeprefix(b"data: ")))
            assert {each["id"] for each in seen} == {verification_id}
        return True

    monkeypatch.setattr(stage, "walk", watch)
    assert await stage.run_demo(host="127.0.0.1", port=free_port(), once=True) == 0
    assert seen[0]["messages"][0]["sid"] is None, "stored before it is sent"
    last = seen[-1]["messages"][0]
    assert last["sid"].startswith("SM")
    assert (
        last["stored_at_ms"] <= last["twilio"]["created_at_ms"] <= last["twilio"]["updated_at_ms"] <= seen[-1]["at_ms"]
    )
