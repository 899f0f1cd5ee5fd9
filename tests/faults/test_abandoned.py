"""Repeats, at another process, of an issue or a resend that failed before anything was sent.

They see 503 with Retry-After, and once Redis is back exactly one message is sent.
"""

import asyncio

import pytest
from redis.crc import key_slot

from service.core import idempotency, undoing
from service.core.store_health import StoreUnavailable
from service.store.verifications import RedisVerifications
from tests.records import RawRecord
from tests.redis_client.servers import cluster

PATH, NUMBER = "/v1/verifications", "+14155550123"
NUMBERS = [f"+1415555{number:04d}" for number in range(40)]
LAX = ("--cluster-require-full-coverage", "no")
TRIES = 100
PAUSE_SECONDS = 0.1
SHORT_LEASE_MS = 1500


async def away(*_, **__):
    """Fail as a step does whose Redis is away."""
    raise StoreUnavailable("TimeoutError")


async def ask(client, asked, key):
    """Make a request; return its status and body. A 503 has Retry-After."""
    path, body = asked
    status, told, headers = await client.call("POST", path, body, headers={"Idempotency-Key": key})
    assert status != 503 or int(headers["Retry-After"]) >= 1
    return status, told


async def ask_until_done(client, asked, key):
    """Repeat a request while the response is 503; return the last status and body."""
    for _ in range(TRIES):
        status, told = await ask(client, asked, key)
        if status != 503:
            break
        await asyncio.sleep(PAUSE_SECONDS)
    return status, told


@pytest.fixture
def shards(tmp_path):
    """Run a cluster of two nodes."""
    with cluster(tmp_path, (0, 8191), (8192, 16383), arguments=LAX) as nodes:
        yield nodes


def home(shards, key):
    """Return the node that holds a key or a hash tag."""
    return shards[key_slot(key.encode()) // 8192]


@pytest.fixture
def freeze_at(monkeypatch):
    """Return a function that suspends a node when the next call of this store method starts."""

    def at(name, node):
        step, first = getattr(RedisVerifications, name), iter((True,))

        async def step_on_frozen(*given, **named):
            if next(first, False):
                node.freeze()
            return await step(*given, **named)

        monkeypatch.setattr(RedisVerifications, name, step_on_frozen)

    return at


async def key_on(service, node, asked):
    """Return an Idempotency-Key whose claim for this request is on a node; no claim is left."""
    for place in range(15):
        assert (await ask(service, asked, f"order-{place}"))[0] in {200, 201}
        claims = node.admin.keys("otp:idem:*")
        if claims:
            node.admin.delete(*claims)
            return f"order-{place}"
    raise AssertionError("no key is on this node")


@pytest.mark.parametrize("undoes", [True, False])
@pytest.mark.parametrize("step", ["issue", "resend"])
async def test_another_process_says_503_and_sends_once(start, launch, shards, freeze_at, monkeypatch, step, undoes):  # noqa: PLR0917 - fixtures
    """The shard of a verification is suspended as a send is written: the first process undoes it, or a repeat does."""
    service = await start(redis_url=f"redis+cluster://127.0.0.1:{shards[0].port}", otp_worker=False, otp_max_sends=20)
    other = await launch(service, OTP_WORKER="false", OTP_MAX_SENDS="20")
    living = home(shards, "otp:keys")
    for number in NUMBERS:
        issued = await service.issue(number)
        dying = home(shards, issued["id"][3])
        if dying is not living:
            break
    asked = (PATH, {"to": number}) if step == "issue" else (f"{PATH}/{issued['id']}/resend", None)
    key = await key_on(service, living, asked)
    for send in range(2, 20):
        RawRecord(dying.admin, issued["id"]).remove("idempotency_tag", send)  # of the requests that found the key
    assert (await ask(other.client, asked, "another"))[0] in {200, 201}
    sent = len(service.messages(number))
    freeze_at(step, dying)
    if not undoes:
        monkeypatch.setattr(RedisVerifications, "take_back", away)
    assert (await ask(service, asked, key))[0] == 503
    assert [(await ask(other.client, asked, key))[0] for _ in range(2)] == [503, 503]
    dying.thaw()
    status, told = await ask_until_done(other.client, asked, key)
    assert (status, len(service.messages(number))) == (201 if step == "issue" else 200, sent + 1)
    assert await ask(service, asked, key) == (status, told)
    code = service.codes(number)[-1]
    assert (await service.verify(told["id"], code))["verdict"] == "approved"
    assert [send["status"] for send in told["sends"]][-1] == "queued"


@pytest.mark.parametrize("step", ["issue", "resend"])
async def test_an_outage_that_outlasts_the_lease_sends_once(start, launch, own_redis, freeze_at, monkeypatch, step):  # noqa: PLR0917 - fixtures
    """Redis is away for longer than the lease: another process, which saw nothing of it, waits until it is undone."""
    for module in (idempotency, undoing):
        monkeypatch.setattr(module, "LEASE_MS", SHORT_LEASE_MS, raising=False)
    service = await start(redis_url=own_redis.url, otp_worker=False)
    other = await launch(service, OTP_WORKER="false")
    issued = await service.issue()
    asked = (PATH, {"to": NUMBER}) if step == "issue" else (f"{PATH}/{issued['id']}/resend", None)
    for client in (service, other.client):
        assert (await ask(client, asked, f"of {client.url}".replace(" ", "-")))[0] in {200, 201}
    sent = len(service.messages())
    freeze_at(step, own_redis)
    assert (await ask(service, asked, "order-7"))[0] == 503
    await asyncio.sleep(2 * SHORT_LEASE_MS / 1000)
    own_redis.thaw()
    status, told = await ask_until_done(other.client, asked, "order-7")
    assert (status, len(service.messages())) == (201 if step == "issue" else 200, sent + 1)
    assert await ask(service, asked, "order-7") == (status, told)
    assert (await service.verify(told["id"], service.codes()[-1]))["verdict"] == "approved"


@pytest.mark.parametrize("step", ["issue", "resend"])
async def test_a_write_that_comes_late_is_not_taken_for_a_message(running, monkeypatch, step):
    """The first request's write reaches Redis as its repeat writes: the repeat gets 503, and the next one sends."""
    issued = await running.issue()
    asked = (PATH, {"to": NUMBER}) if step == "issue" else (f"{PATH}/{issued['id']}/resend", None)
    write, take_back, late = getattr(RedisVerifications, step), RedisVerifications.take_back, []

    async def write_late(*given, **named):
        late.append((given, named))
        if len(late) == 1:
            await away()
        if len(late) == 2:
            await write(*late[0][0], **late[0][1])
        return await write(*given, **named)

    async def take_back_later(*given):
        return await (take_back if len(late) > 1 else away)(*given)

    monkeypatch.setattr(RedisVerifications, step, write_late)
    monkeypatch.setattr(RedisVerifications, "take_back", take_back_later)
    assert [(await ask(running, asked, "order-7"))[0] for _ in range(2)] == [503, 503]
    assert len(running.messages()) == 1
    status, told = await ask(running, asked, "order-7")
    assert (status, len(running.messages())) == (201 if step == "issue" else 200, 2)
    assert (await running.verify(told["id"], running.codes()[-1]))["verdict"] == "approved"


async def test_the_code_of_a_test_number_is_not_taken_from_its_repeat(start, monkeypatch):
    """An issue to a test number fails, and is undone while its repeat has the same code: that code stays valid."""
    running = await start(otp_test_numbers=f"{NUMBER}:493027")
    issue, take_back, first = RedisVerifications.issue, RedisVerifications.take_back, iter((True,))
    is_back = asyncio.Event()

    async def fail_once(*given, **named):
        return await (away if next(first, False) else issue)(*given, **named)

    async def take_back_later(*given):
        return await (take_back if is_back.is_set() else away)(*given)

    monkeypatch.setattr(RedisVerifications, "issue", fail_once)
    monkeypatch.setattr(RedisVerifications, "take_back", take_back_later)
    assert (await ask(running, (PATH, {"to": NUMBER}), "order-7"))[0] == 503
    status, told = await ask(running, (PATH, {"to": NUMBER}), "order-7")
    assert status == 201
    is_back.set()
    await asyncio.sleep(1)  # for what is tried again
    assert (await running.verify(told["id"], "493027"))["verdict"] == "approved"
