"""A message whose response and callbacks were lost is found in Twilio's list and confirmed, and no other one."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from service import wiring
from service.app import open_redis
from service.config.policies import new_keyring, record_policy, twilio_account
from service.core.lost_messages import LookupPolicy, LostMessages
from service.core.retrying import Retries
from service.providers.twilio.gateway import open_twilio
from service.store.lost_messages import RedisLostMessages, count_awaiting_sid
from service.store.verifications import RedisVerifications
from tests.records import field_of

TEXT = "Your Acme code is {}. Do not share it."


@dataclass
class Lost:
    """A verification whose code was typed and whose SID is missing. Without a worker, the test does lookups."""

    running: object
    admin: object
    store: RedisLostMessages
    lost_messages: LostMessages
    id: str
    code: str
    log: list = field(default_factory=list)

    @property
    def key(self):
        """Return the key of the record."""
        return f"otp:{{{self.id[3]}}}:v:{self.id}"

    @property
    def lookups(self):
        """List the sends of its partition that have a lookup."""
        return f"otp:{{{self.id[3]}}}:outbox:lookups"

    @property
    def message(self):
        """Return the message as Twilio has it."""
        return self.running.messages()[-1]

    @property
    def events(self):
        """List the logged events."""
        return [event for event, _ in self.log]

    def due(self):
        """Make the lookup due now; return whether there is one."""
        return bool(self.admin.zadd(self.lookups, {f"{self.id}|1": 1}, xx=True, ch=True))

    async def look(self):
        """Do one lookup, if one is due; return the requested pause."""
        lost = await self.store.claim(self.id[3])
        return None if lost is None else await self.lost_messages.look_up(lost)

    def change(self, message=None, **fields):
        """Change a message in Twilio's record."""
        message = message or self.message
        self.running.sandbox.ledger._messages[message.sid] = replace(message, **fields)

    async def feedback(self):
        """Return the feedback of the send, as the API shows it."""
        return (await self.running.read(self.id))["sends"][0]["feedback"]

    async def counted(self):
        """Return the counts of each outcome of a lookup."""
        async with self.running.http.get("/metrics") as response:
            lines = (await response.text()).splitlines()
        return {line.split('"')[1]: float(line.split()[-1]) for line in lines if line.startswith("otp_lookups_total{")}


@pytest.fixture
def lose(fault, code_in, eventually):
    """Return `lose(running)`: issue a verification, lose response and callbacks; return its id and code."""

    async def issue(running, **fields):
        fault(running, "callbacks", "drop", count=1)
        fault(running, "messages", "lost_response", count=1)
        issued = await running.issue(**fields)
        assert await eventually(lambda: running.messages()[-1].status == "delivered")
        return issued["id"], code_in(running.messages()[-1])

    return issue


@pytest.fixture
async def lost(start, redis, lose):
    """Return a lost message whose code was typed."""
    running = await start(otp_worker=False)
    verification_id, code = await lose(running)
    assert (await running.verify(verification_id, code))["verdict"] == "approved"
    settings, log = running.settings, []
    keyring = new_keyring(settings)
    async with open_redis(settings) as scripts, open_twilio(twilio_account(settings)) as twilio:
        store = RedisLostMessages(scripts, keyring)
        lost_messages = LostMessages(
            store,
            RedisVerifications(scripts, keyring, record_policy(settings)),
            twilio,
            keyring,
            policy=LookupPolicy(),
            retries=Retries(),
            wake=lambda _: None,
            event_log=lambda event, /, **fields: log.append((event, fields)),
        )
        yield Lost(running, redis, store, lost_messages, verification_id, code, log)


def hurry(admin):
    """Make every lookup due now; return the sends."""
    keys = list(admin.scan_iter("otp:{*}:outbox:lookups"))
    members = [(key, member) for key in keys for member in admin.zrange(key, 0, -1)]
    for key, member in members:
        admin.zadd(key, {member: 1})
    return [member.decode() for _, member in members]


@pytest.fixture
async def quick(start, monkeypatch):
    """Start a service whose worker does many lookups a second; return it and its log."""
    monkeypatch.setattr(wiring, "lookup_policy", lambda _: LookupPolicy(poll_seconds=0.02, pause_seconds=0.02))
    logged = []
    return await start(event_log=lambda event, /, **fields: logged.append((event, fields))), logged


async def test_a_lost_message_is_found_and_confirmed(quick, lose, redis, eventually):
    """The service's own worker finds the message by its code, and posts the confirmation of exactly that one, once."""
    running, logged = quick
    other = await running.issue()
    lost_id, code = await lose(running)
    assert (await running.verify(lost_id, code))["sends"][0]["feedback"] == "awaiting_sid"
    assert hurry(redis) == [f"{lost_id}|1"]
    bystander, lost = running.messages()
    assert await eventually(running.confirmed) == {lost.sid}
    assert await eventually(lambda: not list(redis.scan_iter("otp:{*}:outbox")))
    assert running.sandbox.ledger.message(lost.sid).feedback_posts == 1
    assert running.sandbox.ledger.message(bystander.sid).feedback_posts == 0
    [send] = (await running.read(lost_id))["sends"]
    assert (send["status"], send["feedback"]) == ("delivered", "confirmed")
    assert (await running.read(other["id"]))["sends"][0]["feedback"] == "none"
    assert len(running.messages()) == 2, "looking sends nothing"
    [told] = [fields for event, fields in logged if event == "lost_message_found"]
    assert (told["verification_id"], told["send"], told["sid"]) == (lost_id, 1, lost.sid)
    assert code not in str(logged)
    assert "4155550123" not in str(logged)


async def test_an_untyped_code_causes_no_lookup(running, lose, redis):
    """The SID of a message whose code was never typed is not needed: Twilio is not asked."""
    await lose(running)
    assert hurry(redis) == []


async def test_a_received_sid_ends_the_lookup(lost, call_back):
    """A callback before the lookup makes the lookup unnecessary."""
    path = f"/twilio/status/{lost.id}/1"
    fields = {"MessageSid": lost.message.sid, "MessageStatus": "delivered"}
    assert await call_back(lost.running, path, fields) == 204
    assert not lost.due()


async def test_a_lookup_is_due_after_a_minute(lost, redis):
    """The first lookup waits: Twilio's response or a callback may still arrive."""
    assert await lost.look() is None
    due_ms = redis.zscore(lost.lookups, f"{lost.id}|1")
    assert 50 < due_ms / 1000 - redis.time()[0] <= 61


async def test_a_message_with_another_code_is_never_confirmed(lost, posts):
    """If no text contains the code of the send, nothing is confirmed, and there are at most two lookups."""
    code = lost.code
    wrong = f"{(int(code) + 1) % 10 ** len(code):0{len(code)}}"
    for body in (TEXT.format(wrong), TEXT.format(code + "7"), TEXT.format("7" + code)):
        lost.change(body=body)
        lost.due()
        await lost.look()
    assert [fields["reason"] for _, fields in lost.log] == ["none fits"] * 2
    assert await posts(lost.running, "reads") == 2
    assert not lost.due()
    assert await lost.feedback() == "awaiting_sid"
    assert lost.running.confirmed() == set()
    assert await lost.counted() == {"not_found": 2.0}


@pytest.mark.parametrize(
    "fields",
    [{"to": "+14155550124"}, {"created": -120}, {"created": 120}, {"body": "583 is no code"}],
    ids=["another number", "made before", "made after", "no code"],
)
async def test_only_the_message_of_this_send_matches(lost, fields):
    """Another number's message, or one created before or after the send, does not match although it has the code."""
    created_at = lost.message.created_at + timedelta(seconds=fields.get("created", 0))
    lost.change(created_at=created_at, **{name: value for name, value in fields.items() if name != "created"})
    lost.due()
    await lost.look()
    assert [told.get("reason") for _, told in lost.log] == ["none fits"]
    assert await lost.feedback() == "awaiting_sid"


async def test_of_two_matches_neither_is_confirmed(lost, eventually):
    """Another verification of the number may have the same digits in the same minute: then neither is confirmed."""
    message, other = lost.message, await lost.running.issue()
    assert await eventually(lambda: lost.message.status == "delivered")
    lost.change(body=TEXT.format(lost.code))
    lost.due()
    await lost.look()
    assert [fields["reason"] for _, fields in lost.log] == ["several fit"]
    assert await lost.feedback() == "awaiting_sid"
    assert (await lost.running.read(other["id"]))["sends"][0]["feedback"] == "none"
    assert lost.message.sid != message.sid


async def test_a_message_on_the_second_page_is_found_and_one_beyond_is_not(lost, posts):
    """Two pages of fifty are read, and no third."""
    ledger, message = lost.running.sandbox.ledger, lost.message
    for number in range(100):
        ledger.add(replace(message, sid=f"SM{number:032x}", body="Hello"))
    lost.due()
    await lost.look()
    assert lost.events == ["lost_message_not_found"]
    assert await posts(lost.running, "reads") == 2
    ledger._messages.popitem()
    lost.due()
    await lost.look()
    assert lost.events[1:] == ["lost_message_found"]
    assert await posts(lost.running, "reads") == 4


async def test_a_message_created_before_and_sent_after_midnight_is_found(lost, redis):
    """A message created before midnight (UTC) and sent after it is found: the next day is listed too."""
    midnight = lost.message.created_at.replace(hour=0, minute=0, second=0, microsecond=0)
    made = midnight - timedelta(seconds=2)
    lost.change(created_at=made, sent_at=midnight + timedelta(seconds=1))
    redis.hset(lost.key, field_of("sent_at_ms", 1), int(made.timestamp() * 1000))
    lost.due()
    await lost.look()
    assert lost.events == ["lost_message_found"]


async def test_several_workers_do_one_lookup(lost, posts):
    """A due lookup is claimed by one of ten concurrent workers."""
    lost.due()
    pauses = await asyncio.gather(*(lost.look() for _ in range(10)))
    assert sum(pause is not None for pause in pauses) == 1
    assert await posts(lost.running, "reads") == 1


@pytest.mark.parametrize(
    ("kind", "seconds"), [("429", 300), ("503", 60), ("reset", 60), ("garbage", 60), ("unauthorized", 600)]
)
async def test_a_failure_of_twilio_costs_no_lookup(lost, fault, redis, kind, seconds):
    """After a 429, an error or a refusal, the next try waits Retry-After, a minute or ten; both lookups remain."""
    for _ in range(3):
        fault(lost.running, "reads", kind, **({"seconds": seconds} if kind == "429" else {}))
        lost.due()
        assert await lost.look() == seconds
        lost.running.sandbox.faults.end()  # not `count=1`: aiohttp retries a GET whose connection was reset
        wait_seconds = redis.zscore(lost.lookups, f"{lost.id}|1") / 1000 - redis.time()[0]
        assert seconds - 10 < wait_seconds <= seconds + 1
    lost.due()
    await lost.look()
    assert lost.events == ["lookup_failed"] * 3 + ["lost_message_found"]
    assert "4155550123" not in str(lost.log)
    assert await lost.counted() == {"failed": 3.0, "found": 1.0}


@pytest.mark.parametrize("setting", [{"otp_content_retention": "discard"}, {"otp_address_retention": "obfuscate"}])
async def test_without_stored_texts_there_are_no_lookups(setting, start, redis, eventually):
    """If Twilio stores no texts or numbers, messages cannot be recognised: no lookup task is running."""
    settings = (await start(**setting)).settings
    assert await eventually(lambda: redis.exists("otp:worker"))
    assert wiring.lookup_policy(settings) is None
    running = [str(task.get_coro()) for task in asyncio.all_tasks()]
    assert [name for name in running if "OutboxWorker.run" in name]
    assert not [name for name in running if "LostMessages.run" in name]


async def test_a_lookup_released_late_changes_nothing(lost, redis):
    """A process whose lookup was claimed by another one meanwhile does not reschedule it."""
    lost.due()
    slow = await lost.store.claim(lost.id[3])
    lost.due()
    await asyncio.sleep(0.002)  # the fence is an instant in milliseconds
    other = await lost.store.claim(lost.id[3])
    await lost.store.looked_up(slow, "failed", again_in_ms=0)
    assert redis.zscore(lost.lookups, f"{lost.id}|1") == other.claimed_until_ms > slow.claimed_until_ms
    assert await lost.store.claim(lost.id[3]) is None


async def test_a_deleted_record_is_not_recreated(lost, redis):
    """A lookup whose record is gone writes nothing, neither on release nor on claim."""
    lost.due()
    claimed = await lost.store.claim(lost.id[3])
    redis.delete(lost.key)
    await lost.store.looked_up(claimed, "failed", again_in_ms=0)
    lost.due()
    assert await lost.store.claim(lost.id[3]) is None
    assert not redis.exists(lost.key, lost.lookups)


async def test_a_failed_lookup_stays_in_the_metrics(lost):
    """After failed lookups a send is still waiting for its SID, as the metrics show."""
    lost.change(body="Hello")
    lost.due()
    await lost.look()
    async with open_redis(lost.running.settings) as scripts:
        assert await count_awaiting_sid(scripts) == 1
