"""The promises of `service.core.delivery`: statuses never go back, and freed confirmations wake a worker."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.delivery import RANKS, DeliveryReports
from service.core.store_health import StoreUnavailable
from service.core.verification import Delivery
from service.core.verification_store import VerificationStore

ID = "ve_b" + "0" * 31
SID = "SM" + "a" * 32


@dataclass
class Recorder:
    """A store that returns a fixed result and records its arguments."""

    enqueued: bool | None = False
    failure: Exception | None = None
    given: list[tuple[str, int, dict[str, Any]]] = field(default_factory=list)

    async def deliver(self, verification_id: str, send_number: int, **particulars: Any) -> bool | None:
        self.given.append((verification_id, send_number, particulars))
        if self.failure is not None:
            raise self.failure
        return self.enqueued


@dataclass
class Effects:
    """Records which partitions were woken and which events were logged."""

    woken: list[str] = field(default_factory=list)
    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def event_log(self, event: str, /, **fields: object) -> None:
        self.events.append((event, fields))


def reports(store: Recorder, effects: Effects) -> DeliveryReports:
    return DeliveryReports(cast("VerificationStore", store), wake=effects.woken.append, event_log=effects.event_log)


def last_standing(statuses: Iterable[Delivery]) -> Delivery:
    """Apply statuses as the store does: a status only replaces one of lower rank."""
    known = Delivery.UNKNOWN
    for status in statuses:
        if RANKS[status] > RANKS[known]:
            known = status
    return known


def test_every_status_has_a_rank_of_one_digit() -> None:
    """Each status has its own rank, of one digit, because the script reads one digit."""
    assert set(RANKS) == set(Delivery)
    assert all(0 <= rank <= 9 for rank in RANKS.values())


@given(st.lists(st.sampled_from(Delivery)), st.sampled_from(Delivery))
def test_a_status_never_goes_back(history: list[Delivery], late: Delivery) -> None:
    """No callback, however late or often repeated, sets a message back to an earlier status."""
    before = last_standing(history)
    after = last_standing([*history, late])
    assert RANKS[after] >= RANKS[before]
    assert after is before or RANKS[after] > RANKS[before]
    assert last_standing([*history, *history]) is before


@given(st.permutations([Delivery.QUEUED, Delivery.SENT, Delivery.DELIVERED, Delivery.READ, Delivery.SENT]))
def test_callbacks_in_any_order_lead_to_the_same_status(journey: list[Delivery]) -> None:
    """The callbacks of one message lead to the same final status in every order."""
    assert last_standing(journey) is Delivery.READ


@pytest.mark.parametrize("end", [Delivery.DELIVERED, Delivery.UNDELIVERED, Delivery.FAILED, Delivery.CANCELED])
@pytest.mark.parametrize("rival", [Delivery.DELIVERED, Delivery.UNDELIVERED, Delivery.FAILED, Delivery.CANCELED])
def test_the_first_final_status_stays(end: Delivery, rival: Delivery) -> None:
    """Of two contradicting final statuses the first one stays."""
    assert last_standing([Delivery.QUEUED, end, rival]) is end


@pytest.mark.parametrize("enqueued", [True, False])
async def test_a_freed_confirmation_wakes_its_worker(enqueued: bool) -> None:  # noqa: FBT001 - parametrized
    """A callback that frees a waiting confirmation wakes the worker of its partition; other callbacks wake none."""
    effects = Effects()
    await reports(Recorder(enqueued=enqueued), effects).record(ID, 2, sid=SID, status=Delivery.SENT, error_code=None)
    assert effects.woken == (["b"] if enqueued else [])


@pytest.mark.parametrize("status", [Delivery.DELIVERED, Delivery.UNKNOWN])
async def test_the_sid_is_stored_whatever_the_status(status: Delivery) -> None:
    """The store gets SID, status, error and sender of every callback, including unknown statuses."""
    store = Recorder()
    told = {"sid": SID, "status": status, "error_code": 30_003, "sender": "72345", "may_follow": False}
    await reports(store, Effects()).record(ID, 3, **told)  # type: ignore[arg-type]
    assert store.given == [(ID, 3, told)]


async def test_a_callback_is_logged_once() -> None:
    """One callback is one event, with our name for the status."""
    effects = Effects()
    await reports(Recorder(), effects).record(ID, 1, sid=SID, status=Delivery.UNDELIVERED, error_code=30_005)
    [(event, fields)] = effects.events
    assert event == "delivery_reported"
    assert (fields["verification_id"], fields["send"]) == (ID, 1)
    assert (fields["delivery"], fields["error_code"]) == ("undelivered", 30_005)


async def test_a_callback_that_concerns_nothing_is_logged_as_ignored() -> None:
    """If there is no such verification, send or SID, the event says so instead of reporting a delivery."""
    effects = Effects()
    await reports(Recorder(enqueued=None), effects).record(ID, 1, sid=SID, status=Delivery.DELIVERED, error_code=None)
    [(event, fields)] = effects.events
    assert (event, fields["verification_id"], fields["send"], effects.woken) == ("callback_ignored", ID, 1, [])


async def test_a_callback_that_was_not_stored_fails() -> None:
    """If Redis does not reply, the callback fails, so that Twilio repeats it, and no event is logged."""
    effects = Effects()
    with pytest.raises(StoreUnavailable):
        await reports(Recorder(failure=StoreUnavailable()), effects).record(
            ID, 1, sid=SID, status=Delivery.DELIVERED, error_code=None
        )
    assert (effects.woken, effects.events) == ([], [])
