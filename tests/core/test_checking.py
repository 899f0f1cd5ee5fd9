"""The promises of `service.core.checking`: what it passes to the store, which worker it wakes, and what it logs.

The store decides checks, and its own tests cover that; here it only records its arguments.
"""

import secrets
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from service.core.checking import Checking
from service.core.keyring import Keyring
from service.core.verification import Status
from service.core.verification_store import Check, VerificationStore

ID, OTHER = "ve_b" + "0" * 31, "ve_c" + "0" * 31


@dataclass
class Outcome:
    """The part of the store's result that this module uses."""

    enqueued: bool = False
    status: Status = Status.CANCELED


@dataclass
class Recorder:
    """A store that returns a fixed result and records its arguments."""

    answer: Outcome = field(default_factory=Outcome)
    checks: list[Check] = field(default_factory=list)

    async def check(self, check: Check) -> Outcome:
        self.checks.append(check)
        return self.answer

    async def cancel(self, _: str, *, owner: str | None) -> Outcome:  # noqa: ARG002
        return self.answer


@dataclass
class Effects:
    """Records which partitions were woken and which events were logged."""

    woken: list[str] = field(default_factory=list)
    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def event_log(self, event: str, /, **fields: object) -> None:
        self.events.append((event, fields))


@pytest.fixture
def keyring() -> Keyring:
    return Keyring([secrets.token_bytes(32)], secrets.token_bytes(32))


def checking(store: Recorder, keyring: Keyring, effects: Effects) -> Checking:
    return Checking(cast("VerificationStore", store), keyring, wake=effects.woken.append, event_log=effects.event_log)


@pytest.mark.parametrize(("enqueued", "woken"), [(True, ["b"]), (False, [])])
async def test_an_entry_wakes_the_worker_of_its_partition(keyring: Keyring, enqueued: bool, woken: list[str]) -> None:  # noqa: FBT001
    """A check that enqueues a confirmation wakes the worker of its partition; other checks wake none."""
    effects = Effects()
    await checking(Recorder(Outcome(enqueued=enqueued)), keyring, effects).check(ID, "123456")
    assert effects.woken == woken


async def test_a_cancel_is_logged(keyring: Keyring) -> None:
    """A cancel is one event, with the id and the resulting status."""
    effects = Effects()
    await checking(Recorder(), keyring, effects).cancel(ID)
    assert effects.events == [("verification_canceled", {"verification_id": ID, "status": Status.CANCELED})]


async def test_a_check_without_a_key_is_not_recorded(keyring: Keyring) -> None:
    """Without an Idempotency-Key the store gets neither tag nor fingerprint, and it never gets the code itself."""
    store = Recorder()
    await checking(store, keyring, Effects()).check(ID, "123456", to="+14155550123", purpose="login")
    [check] = store.checks
    assert (check.verification_id, check.to, check.purpose) == (ID, "+14155550123", "login")
    assert (check.idempotency_key, check.fingerprint) == (None, "0")
    assert check.digests == keyring.code_digests(ID, "123456")
    assert "123456" not in repr(check)


async def test_an_idempotency_key_is_bound_to_its_verification(keyring: Keyring) -> None:
    """The tag of an Idempotency-Key differs between verifications, and its fingerprint covers the body."""
    store = Recorder()
    rules = checking(store, keyring, Effects())
    bodies: list[dict[str, Any]] = [{}, {"to": "+14155550123"}, {"purpose": "login"}]
    for body in bodies:
        await rules.check(ID, "123456", **body, idempotency_key="once")
    await rules.check(ID, "123457", idempotency_key="once")
    await rules.check(OTHER, "123456", idempotency_key="once")
    *same, other = [check.idempotency_key for check in store.checks]
    assert len(set(same)) == 1
    assert other not in same
    assert other == keyring.idempotency_tag(f"{OTHER} ", "once")
    assert len({check.fingerprint for check in store.checks}) == 5
