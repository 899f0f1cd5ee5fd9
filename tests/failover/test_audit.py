"""The audit of the fault runs finds what it is for: each control breaks one thing after a run without a fault."""

import asyncio

import pytest

from service.store import keys as redis_keys
from tests.conftest import eventually, starter
from tests.failover.audit import audit
from tests.failover.clients import Clients, Pair
from tests.failover.engines import standalone
from tests.records import RawRecord

PAIRS = 3


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """Run one server for all controls."""
    with standalone(tmp_path_factory.mktemp("audit"), "redis") as running:
        yield running


@pytest.fixture
async def clients(engine):
    """Let a few clients verify on an empty server, without a fault."""
    engine.nodes[0].admin.flushall()
    async with starter(None) as start:
        running = Clients(await start(redis_url=engine.url, otp_max_attempts=10))
        await asyncio.gather(*(running._pair() for _ in range(PAIRS)))
        assert all(pair.is_approved for pair in running.pairs)
        assert await eventually(lambda: running.service.confirmed() >= {pair.sid for pair in running.pairs}, seconds=30)
        yield running


async def found(clients, engine):
    return set((await audit(clients, engine)).broken())


async def test_nothing_is_found_without_a_fault(clients, engine):
    """A run without a fault has no findings; each pair was approved."""
    assert await found(clients, engine) == set()


async def test_a_dropped_confirmation_is_found(clients, engine):
    """An approval whose confirmation never came is lost."""
    message = clients.service.sandbox.ledger.message(clients.pairs[0].sid)
    clients.service.sandbox.ledger.set_outcome(message.sid, "unconfirmed")
    assert await found(clients, engine) == {"lost"}


async def test_an_undone_approval_is_found(clients, engine):
    """A code that is approved again was approved twice, and its first approval was forgotten."""
    RawRecord(engine.nodes[0].admin, clients.pairs[0].id).set("status", "pending")
    assert await found(clients, engine) == {"twice", "forgotten"}


async def test_a_lost_verification_is_found(clients, engine):
    """A verification that a client was told of, and that is unknown, was forgotten."""
    engine.nodes[0].admin.delete(redis_keys.verification(clients.pairs[0].id))
    assert await found(clients, engine) == {"forgotten"}


async def test_a_code_that_nobody_can_use_is_found(clients, engine):
    """A verification that ended without an approval is stuck."""
    issued = await clients.service.issue("+12135550100")
    [message] = clients.service.messages("+12135550100")
    await clients.service.call("POST", f"/v1/verifications/{issued['id']}/cancel")
    code = clients.service.codes("+12135550100")[0]
    clients.pairs.append(Pair("+12135550100", issued["id"], code, message.sid))
    assert await found(clients, engine) == {"stuck"}


@pytest.mark.parametrize("is_told", [True, False])
async def test_a_confirmation_that_nobody_asked_for_is_found(clients, engine, is_told):
    """A message is confirmed, and its client has not typed the code yet, or no client has it."""
    issued = await clients.service.issue("+12135550100")
    [message] = clients.service.messages("+12135550100")
    if is_told:
        [code] = clients.service.codes("+12135550100")
        clients.pairs.append(Pair("+12135550100", issued["id"], code, message.sid))
    clients.service.sandbox.ledger.set_outcome(message.sid, "confirmed")
    assert await found(clients, engine) == {"unasked"}


async def test_a_removed_ttl_is_found(clients, engine):
    """A key that never expires is immortal."""
    engine.nodes[0].admin.persist(redis_keys.verification(clients.pairs[0].id))
    assert await found(clients, engine) == {"immortal"}
