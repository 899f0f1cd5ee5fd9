"""Shared by the journey tests: planned faults, Twilio's traffic, stored records and hand-made callbacks."""

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from uuid import uuid4

import pytest
from twilio.request_validator import RequestValidator

from service.app import open_redis
from service.config.policies import twilio_account
from service.core.confirming import ConfirmationHandler
from service.core.outbox import OutboxPolicy, OutboxWorker
from service.core.retrying import Retries
from service.providers.twilio.gateway import open_twilio
from service.sandbox import FaultPlan
from service.store.confirmations import open_confirmations
from tests.conftest import NUMBER
from tests.records import RawRecord


@pytest.fixture
def fault():
    """Return `fault(running, endpoint, kind, **options)`: plan a fault in the simulator."""

    def plan(running, endpoint, kind, **particulars):
        running.sandbox.faults.plan(FaultPlan(endpoint=endpoint, kind=kind, **particulars))

    return plan


@pytest.fixture
def posts():
    """Return `posts(running, endpoint)`: how many calls the simulator has finished, refused and dropped ones too."""

    async def count(running, endpoint="messages"):
        async with running.http.get(f"{running.sandbox_url}/_/stats") as response:
            return sum((await response.json())["responses"].get(endpoint, {}).values())

    return count


@dataclass
class Held:
    """Messages that Twilio has accepted while its response is pending."""

    responds: asyncio.Event = field(default_factory=asyncio.Event)
    deliver: asyncio.Event = field(default_factory=asyncio.Event)


@pytest.fixture
def hold(monkeypatch):
    """Return `hold(running)`: the simulator accepts, but delivers and responds only when the events are set."""
    holds = []

    def hold_responses(running):
        held = Held()
        holds.append(held)
        accept = running.sandbox._carrier.accept

        async def accept_and_wait(message):
            await held.deliver.wait()
            await accept(message)
            await held.responds.wait()

        monkeypatch.setattr(running.sandbox._carrier, "accept", accept_and_wait)
        return held

    yield hold_responses
    for held in holds:
        held.deliver.set()
        held.responds.set()


@pytest.fixture
def record(redis):
    """Return `record(id)`: the stored record of a verification."""
    return partial(RawRecord, redis)


@pytest.fixture
def grow_older(redis):
    """Return `grow_older(id, seconds)`: move every instant in a record into the past, as if that time had passed."""
    return lambda verification_id, seconds: RawRecord(redis, verification_id).grow_older(seconds * 1000)


@pytest.fixture
def wrong():
    """Return `wrong(code, …)`: a code of the same length that differs from all of these."""

    def other(*codes):
        return next(code for code in (f"{n:0{len(codes[0])}}" for n in range(100)) if code not in codes)

    return other


@pytest.fixture
def feedback():
    """Return `feedback(running, id)`: the feedback of each send, as the API shows it."""

    async def read(running, verification_id):
        return [send["feedback"] for send in (await running.read(verification_id))["sends"]]

    return read


@pytest.fixture
def settled(redis, eventually):
    """Return `settled(running)`: wait until nothing is pending; return each message's outcome and number of posts."""

    async def wait(running):
        assert await eventually(lambda: not list(redis.scan_iter("otp:{*}:outbox")), seconds=20)
        return [(message.outcome, message.feedback_posts) for message in running.messages()]

    return wait


@pytest.fixture
def call_back():
    """Return `call_back(running, path, fields, token=…)`: post a status callback, signed as Twilio signs it."""

    async def post(running, path, fields, *, token="sandbox-auth-token", signed_url=None, headers=None):
        signature = RequestValidator(token).compute_signature(signed_url or running.url + path, fields)
        sent = {"X-Twilio-Signature": signature, **(headers or {})}
        async with running.http.post(path, data=fields, headers=sent) as response:
            return response.status

    return post


@pytest.fixture
def send_in(call_back):
    """Return `send_in(running, body, sender=…, sid=…, **more)`: a person sends a message to us, as Twilio tells it."""

    async def post(running, body, *, sender=NUMBER, sid=None, forged=None, **more):
        sid = sid or f"SM{uuid4().hex}"
        fields = {
            "ToCountry": "US", "SmsMessageSid": sid, "NumMedia": "0", "SmsSid": sid, "SmsStatus": "received",
            "Body": body, "To": "+15005550006", "NumSegments": "1", "MessageSid": sid, "AccountSid": "AC" + "0" * 32,
            "From": sender, "ApiVersion": "2010-04-01", "FromZip": "", **more,
        }  # fmt: skip
        return await call_back(running, "/twilio/message", fields, **(forged or {}))

    return post


@pytest.fixture
def call_in(running_form):
    """Return `call_in(running, sender=…, sid=…, **more)`: a person calls us; return what Twilio is told (TwiML)."""
    return partial(running_form, "/twilio/voice")


@pytest.fixture
def key_in(running_form):
    """Return `key_in(running, keys, try_number=1, **more)`: a caller presses keys; return what Twilio is told."""

    async def post(running, keys, try_number=1, **more):
        return await running_form(f"/twilio/voice/{try_number}", running, Digits=keys, **more)

    return post


@pytest.fixture
def running_form():
    """Return `post(path, running, sender=…, sid=…, unsigned=…, **more)`: post a signed form of a call."""

    async def post(path, running, *, sender=NUMBER, sid=None, unsigned=None, token="sandbox-auth-token", **more):
        fields = {
            "CallSid": sid or f"CA{uuid4().hex}", "AccountSid": "AC" + "0" * 32, "From": sender, "Caller": sender,
            "To": "+15005550006", "CallStatus": "ringing", "Direction": "inbound", "ApiVersion": "2010-04-01",
            "CallerCity": "", **more,
        }  # fmt: skip
        signature = RequestValidator(token).compute_signature(running.url + path, fields)
        sent, headers = {**fields, **(unsigned or {})}, {"X-Twilio-Signature": signature}
        async with running.http.post(path, data=sent, headers=headers) as response:
            return await response.text() if response.status == 200 else response.status

    return post


@pytest.fixture
def working():
    """Return `working(running, **policy)`: a separate worker for a service that has none (`otp_worker=False`)."""

    @asynccontextmanager
    async def work(running, **policy):
        quick = {"poll_seconds": 0.02, "shortest_delay_seconds": 0.02, "longest_delay_seconds": 0.1, **policy}
        event_log = []
        async with open_redis(running.settings) as scripts, open_twilio(twilio_account(running.settings)) as twilio:
            worker = OutboxWorker(
                open_confirmations(scripts),
                ConfirmationHandler([twilio]),
                policy=OutboxPolicy(**quick),
                settlements=Retries(),
                event_log=lambda event, /, **fields: event_log.append((event, fields)),
            )
            task = asyncio.create_task(worker.run())
            try:
                yield event_log
            finally:
                worker.stop()
                await task

    return work


@pytest.fixture
def code_in():
    """Return `code_in(message)`: the code in a message."""

    def read(message):
        return re.search(r"\b[0-9]{4,8}\b", message.body)[0]

    return read
