"""What the journeys share: planned faults, Twilio's traffic, records and callbacks made by hand."""

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

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
from tests.records import RawRecord


@pytest.fixture
def fault():
    """Give `fault(running, endpoint, kind, **particulars)`: plan a fault at the simulator."""

    def plan(running, endpoint, kind, **particulars):
        running.sandbox.faults.plan(FaultPlan(endpoint=endpoint, kind=kind, **particulars))

    return plan


@pytest.fixture
def posts():
    """Give `posts(running, endpoint)`: how many calls the simulator has finished there, refused and broken ones too."""

    async def count(running, endpoint="messages"):
        async with running.http.get(f"{running.sandbox_url}/_/stats") as response:
            return sum((await response.json())["responses"].get(endpoint, {}).values())

    return count


@dataclass
class Held:
    """Messages that Twilio has accepted while its answer is still outstanding."""

    responses: asyncio.Event = field(default_factory=asyncio.Event)
    carry: asyncio.Event = field(default_factory=asyncio.Event)


@pytest.fixture
def hold(monkeypatch):
    """Give `hold(running)`: from now on the simulator accepts, but carries and answers only when the events are set."""
    holds = []

    def hold_answers(running):
        held = Held()
        holds.append(held)
        accept = running.sandbox._carrier.accept

        async def accept_and_wait(message):
            await held.carry.wait()
            await accept(message)
            await held.answers.wait()

        monkeypatch.setattr(running.sandbox._carrier, "accept", accept_and_wait)
        return held

    yield hold_answers
    for held in holds:
        held.carry.set()
        held.answers.set()


@pytest.fixture
def record(redis):
    """Give `record(id)`: what Redis holds of a verification."""
    return partial(RawRecord, redis)


@pytest.fixture
def grow_older(redis):
    """Give `grow_older(id, seconds)`: move every instant in a record into the past, as if that time had gone by."""
    return lambda verification_id, seconds: RawRecord(redis, verification_id).grow_older(seconds * 1000)


@pytest.fixture
def wrong():
    """Give `wrong(code, …)`: a code of the same length that is none of these."""

    def other(*codes):
        return next(code for code in (f"{n:0{len(codes[0])}}" for n in range(100)) if code not in codes)

    return other


@pytest.fixture
def feedback():
    """Give `feedback(running, id)`: the feedback of each send, as the API shows it."""

    async def read(running, verification_id):
        return [send["feedback"] for send in (await running.read(verification_id))["sends"]]

    return read


@pytest.fixture
def settled(redis, eventually):
    """Give `settled(running)`: wait until nothing is pending; give each message's outcome and number of posts."""

    async def wait(running):
        assert await eventually(lambda: not list(redis.scan_iter("otp:{*}:outbox")), seconds=20)
        return [(message.outcome, message.feedback_posts) for message in running.messages()]

    return wait


@pytest.fixture
def call_back():
    """Give `call_back(running, path, fields, token=…)`: post a status callback, signed as Twilio signs it."""

    async def post(running, path, fields, *, token="sandbox-auth-token", signed_url=None, headers=None):
        signature = RequestValidator(token).compute_signature(signed_url or running.url + path, fields)
        sent = {"X-Twilio-Signature": signature, **(headers or {})}
        async with running.http.post(path, data=fields, headers=sent) as response:
            return response.status

    return post


@pytest.fixture
def working():
    """Give `working(running, **policy)`: a worker of its own beside a service that has none (`otp_worker=False`)."""

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
    """Give `code_in(message)`: the code that a message carries."""

    def read(message):
        return re.search(r"\b[0-9]{4,8}\b", message.body)[0]

    return read
