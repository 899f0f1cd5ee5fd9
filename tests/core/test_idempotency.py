"""The promises of `service.core.idempotency`: the outcome of a claimed key. The store makes the claim itself."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.idempotency import (
    LEASE_MS,
    Abandoned,
    Begun,
    Idempotency,
    IdempotencyKey,
    KeptAnswer,
    OtherBody,
    StillRunning,
)
from service.core.keyring import Keyring
from service.core.retrying import Retries, RetryPolicy
from service.core.store_health import UNKNOWN, StoreCause, StoreFault, StoreUnavailable
from service.core.verification_store import WrittenSend

KEYRING = Keyring([b"newest" * 6], b"index" * 7)
ID = "ve_3" + "a" * 31
FAULT = StoreFault(StoreCause.TIMEOUT, "Look at its log.")
UNSENT = WrittenSend(ID, "tag", b"digest", after=0)
ANSWER = b'{"to": "+14155552671", "client_token": "vt_secret"}'


@dataclass
class Recorder:
    """A store that returns a fixed result and records its arguments."""

    begun: Begun = field(default_factory=Begun)
    failure: Exception | None = None
    given: list[tuple[object, ...]] = field(default_factory=list)
    away: int = 0  # the number of releases that fail

    async def begin(self, key: str, *, fence: str, fingerprint: str, verification_id: str, lease_ms: int) -> Begun:
        self.given.append(("begin", key, fence, fingerprint, verification_id, lease_ms))
        if self.failure is not None:
            raise self.failure
        return self.begun

    async def finish(self, key: str, *, fence: str, answer: bytes) -> None:
        self.given.append(("finish", key, fence))
        self.fail()
        self.begun = Begun(answer=answer)

    async def release(self, key: str, *, fence: str) -> None:
        self.given.append(("release", key, fence))
        self.fail()

    async def withdraw(self, key: str, *, fence: str) -> None:
        self.given.append(("withdraw", key, fence))
        self.fail()

    async def abandon(self, key: str, *, fence: str, unsent: WrittenSend) -> None:
        self.given.append(("abandon", key, fence, unsent))
        self.fail()

    def fail(self) -> None:
        if self.away:
            self.away -= 1
            raise StoreUnavailable("away")


def given_to(step: str) -> list[object]:
    """Return what a step is given beside the key."""
    return {"finish": [ANSWER], "abandon": [UNSENT]}.get(step, [])


def silent(_: str, /, **__: object) -> None:
    """Log nothing."""


def quick_retries() -> Retries:
    """Create retries with very short pauses."""
    return Retries(RetryPolicy(first_pause_seconds=0.001, longest_pause_seconds=0.002))


def named(store: Recorder) -> tuple[Idempotency, IdempotencyKey]:
    idempotency = Idempotency(store, KEYRING, retries=quick_retries(), event_log=silent)
    return idempotency, idempotency.key(scope="key-1 POST /v1/verifications", key="order-7", content=b"{}")


async def test_a_new_key_is_claimed() -> None:
    """A new key is claimed for the id of the new verification, and the request proceeds."""
    store = Recorder()
    idempotency, key = named(store)
    assert await idempotency.begin(key, ID) is None
    assert store.given == [("begin", key.tag, key.fence, key.fingerprint, ID, LEASE_MS)]


async def test_a_stored_response_is_returned_again() -> None:
    """The stored response for a key is returned byte for byte, by raising `KeptAnswer` only."""
    store = Recorder()
    idempotency, key = named(store)
    await idempotency.finish(key, ANSWER)
    with pytest.raises(KeptAnswer) as kept:
        await idempotency.begin(key, ID)
    assert kept.value.answer == ANSWER


async def test_a_response_is_stored_encrypted() -> None:
    """The store never sees the text of a response: number and token are encrypted."""
    store = Recorder()
    idempotency, key = named(store)
    await idempotency.finish(key, ANSWER)
    assert store.begun.answer is not None
    assert b"vt_secret" not in store.begun.answer
    assert b"4155552671" not in store.begun.answer


async def test_a_response_is_bound_to_its_key() -> None:
    """A response moved to another key cannot be decrypted."""
    store = Recorder()
    idempotency, key = named(store)
    await idempotency.finish(key, ANSWER)
    other = idempotency.key(scope="key-2 POST /v1/verifications", key="order-7", content=b"{}")
    with pytest.raises(StoreUnavailable):
        await idempotency.begin(other, ID)


async def test_a_running_request_is_not_run_twice() -> None:
    """While the first request runs its repetition is refused, and neither stores nor deletes anything."""
    store = Recorder(begun=Begun(running_ms=17_000))
    idempotency, key = named(store)
    with pytest.raises(StillRunning) as running:
        await idempotency.begin(key, ID)
    assert running.value.retry_after_ms == 17_000
    assert [step for step, *_ in store.given] == ["begin"]


@pytest.mark.parametrize("step", ["release", "withdraw", "abandon", "finish", "begin"])
async def test_a_claim_that_may_outlive_its_request_is_no_running_request(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For one lease after the store failed to end a claim, a repeat is refused as unavailable."""
    now = 0.0
    monkeypatch.setattr("service.core.idempotency.time.monotonic", lambda: now)
    store = Recorder(away=1)
    idempotency, key = named(store)
    if step == "begin":
        store.failure = StoreUnavailable("away", FAULT)
        with pytest.raises(StoreUnavailable):
            await idempotency.begin(key, ID)
        store.failure = None
    else:
        await getattr(idempotency, step)(key, *given_to(step))
    store.begun = Begun(running_ms=17_000)
    now = LEASE_MS / 1000 - 1
    with pytest.raises(StoreUnavailable) as failure:
        await idempotency.begin(key, ID)
    assert failure.value.fault == (FAULT if step == "begin" else UNKNOWN)
    now = LEASE_MS / 1000
    with pytest.raises(StillRunning):
        await idempotency.begin(key, ID)


async def test_a_response_is_stored_once_the_store_is_back() -> None:
    """If the store is unavailable after the request, the caller is served and the response is stored later."""
    store, retries = Recorder(away=3), quick_retries()
    idempotency = Idempotency(store, KEYRING, retries=retries, event_log=silent)
    key = idempotency.key(scope="key-1 POST /v1/verifications", key="order-7", content=b"{}")
    await idempotency.finish(key, ANSWER)
    await retries.idle()
    with pytest.raises(KeptAnswer) as kept:
        await idempotency.begin(key, ID)
    assert kept.value.answer == ANSWER


async def test_an_empty_response_is_stored() -> None:
    """An empty response is stored and returned like any other."""
    store = Recorder()
    idempotency, key = named(store)
    await idempotency.finish(key, b"")
    with pytest.raises(KeptAnswer) as kept:
        await idempotency.begin(key, ID)
    assert kept.value.answer == b""


async def test_an_abandoned_request_returns_its_verification() -> None:
    """When the first request died, its repetition gets the id and sends nothing by itself."""
    abandoned = Abandoned("ve_0" + "b" * 31)
    idempotency, key = named(Recorder(begun=Begun(abandoned=abandoned)))
    assert await idempotency.begin(key, ID) == abandoned


async def test_another_body_is_refused() -> None:
    """A key reused with another body is refused."""
    idempotency, key = named(Recorder(failure=OtherBody()))
    with pytest.raises(OtherBody):
        await idempotency.begin(key, ID)


async def test_without_a_key_the_store_is_not_used() -> None:
    """A request without an Idempotency-Key does not use the store."""
    store = Recorder()
    idempotency = Idempotency(store, KEYRING, retries=quick_retries(), event_log=silent)
    assert await idempotency.begin(None, ID) is None
    await idempotency.finish(None, ANSWER)
    await idempotency.release(None)
    await idempotency.abandon(None, UNSENT)
    assert store.given == []


@pytest.mark.parametrize("step", ["release", "withdraw", "abandon"])
@pytest.mark.parametrize("away", [0, 1, 5])
async def test_a_key_is_released_by_its_own_claim_with_retries(step: str, away: int) -> None:
    """Every try uses this request's own claim, and tries continue in the background while the store is unavailable."""
    store = Recorder(away=away)
    idempotency, key = named(store)
    await getattr(idempotency, step)(key, *given_to(step))
    assert store.given == [(step, key.tag, key.fence, *given_to(step))]
    await idempotency._retries.idle()
    assert store.given == [(step, key.tag, key.fence, *given_to(step))] * (away + 1)


async def test_a_claim_with_a_lost_reply_is_withdrawn() -> None:
    """A claim that failed may still exist: it is released in the background, and the caller gets the error."""
    store = Recorder(failure=StoreUnavailable("away"), away=2)
    idempotency, key = named(store)
    with pytest.raises(StoreUnavailable):
        await idempotency.begin(key, ID)
    await idempotency._retries.idle()
    assert store.given[1:] == [("withdraw", key.tag, key.fence)] * 3


async def test_a_key_that_cannot_be_released_is_logged() -> None:
    """When too many releases wait already, the log says that the key stays claimed until its lease ends."""
    events: list[str] = []
    idempotency = Idempotency(
        Recorder(away=1),
        KEYRING,
        retries=Retries(RetryPolicy(most_waiting=0)),
        event_log=lambda event, /, **_: events.append(event),
    )
    await idempotency.release(idempotency.key(scope="s", key="k", content=b""))
    assert events == ["idempotency_key_not_released"]


def test_every_request_has_a_claim_of_its_own() -> None:
    """Two requests with the same key and body have one tag, and each its own fence, which cannot be guessed."""
    idempotency = Idempotency(Recorder(), KEYRING, retries=quick_retries(), event_log=silent)
    keys = [idempotency.key(scope="s", key="k", content=b"{}") for _ in range(100)]
    assert len(set(keys)) == 1
    assert len({key.fence for key in keys}) == 100
    assert all(len(key.fence) >= 12 for key in keys)


scopes = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="|"), max_size=40)


@given(scopes, scopes, st.text(max_size=40), st.text(max_size=40))
def test_callers_never_share_a_tag(scope: str, other_scope: str, key: str, other_key: str) -> None:
    """Two keys share a tag only if caller, route and key are the same."""
    idempotency = Idempotency(Recorder(), KEYRING, retries=quick_retries(), event_log=silent)
    one = idempotency.key(scope=scope, key=key, content=b"{}")
    other = idempotency.key(scope=other_scope, key=other_key, content=b"{}")
    assert (one.tag == other.tag) == ((scope, key) == (other_scope, other_key))


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_bodies_have_distinct_fingerprints(body: bytes, other: bytes) -> None:
    """Equal bodies have equal fingerprints, different bodies different ones."""
    idempotency = Idempotency(Recorder(), KEYRING, retries=quick_retries(), event_log=silent)
    one, two = (idempotency.key(scope="s", key="k", content=content) for content in (body, other))
    assert (one == two) == (body == other)


def test_a_key_hides_the_caller_s_input() -> None:
    """Neither the key nor the body can be recovered from what is stored."""
    key = Idempotency(Recorder(), KEYRING, retries=quick_retries(), event_log=silent).key(
        scope="caller", key="order-7", content=b"+14155552671"
    )
    assert "order-7" not in repr(key)
    assert "4155552671" not in repr(key)


def test_exceptions_do_not_show_the_response() -> None:
    """A stored response that is logged as an exception shows no number and no token."""
    assert "vt_secret" not in repr(KeptAnswer(ANSWER)) + str(KeptAnswer(ANSWER))


def test_the_lease_outlives_the_longest_request() -> None:
    """Three tries at Twilio of five seconds with pauses of a second fit into the lease with room to spare."""
    assert LEASE_MS >= 3 * (5_000 + 1_000) + 5_000
