"""The promises of `service.core.delivery`: Twilio's words in ours, an order that never goes back, a worker woken."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.rest.api.v2010.account.message import MessageInstance  # type: ignore[import-untyped]

from service.core.delivery import RANKS, DeliveryReports, delivery_of
from service.core.store_health import StoreUnavailable
from service.core.verification import Delivery
from service.core.verification_store import VerificationStore

ID = "ve_b" + "0" * 31
SID = "SM" + "a" * 32
INBOUND = {"receiving", "received"}
TWILIO_WORDS = {word for name, word in vars(MessageInstance.Status).items() if name.isupper()}


@dataclass
class Recorder:
    """A store that answers as told and remembers what it was given."""

    enqueued: bool = False
    failure: Exception | None = None
    given: list[tuple[str, int, dict[str, Any]]] = field(default_factory=list)

    async def deliver(self, verification_id: str, send_number: int, **particulars: Any) -> bool:
        self.given.append((verification_id, send_number, particulars))
        if self.failure is not None:
            raise self.failure
        return self.enqueued


@dataclass
class Witness:
    """Remembers which partitions were woken and what was logged."""

    woken: list[str] = field(default_factory=list)
    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def event_log(self, event: str, /, **fields: object) -> None:
        self.events.append((event, fields))


def reports(store: Recorder, witness: Witness) -> DeliveryReports:
    return DeliveryReports(cast("VerificationStore", store), wake=witness.woken.append, event_log=witness.event_log)


def last_standing(statuses: Iterable[Delivery]) -> Delivery:
    """Apply statuses as the store does: one replaces another of lower rank only."""
    known = Delivery.UNKNOWN
    for status in statuses:
        if RANKS[status] > RANKS[known]:
            known = status
    return known


@pytest.mark.parametrize("word", sorted(TWILIO_WORDS - INBOUND))
def test_every_outbound_word_of_twilio_is_known(word: str) -> None:
    """Each status that Twilio's own library lists for an outgoing message has a word of ours."""
    assert delivery_of(word) is not Delivery.UNKNOWN


@pytest.mark.parametrize("word", ["sent", "delivered", "undelivered", "failed", "canceled", "read", "queued"])
def test_shared_words_keep_their_meaning(word: str) -> None:
    """Where Twilio and we use the same word, it is translated to itself."""
    assert delivery_of(word) == word


@pytest.mark.parametrize(("word", "status"), [("accepted", "queued"), ("scheduled", "queued"), ("sending", "queued")])
def test_nothing_is_sent_before_it_is_sent(word: str, status: str) -> None:
    """A message that Twilio still holds is queued."""
    assert delivery_of(word) == status


def test_delivered_in_part_is_not_delivered() -> None:
    """A message of which a part arrived is sent, no more."""
    assert delivery_of("partially_delivered") is Delivery.SENT


@given(st.text().filter(lambda word: word not in TWILIO_WORDS - INBOUND))
def test_an_unfamiliar_word_changes_nothing(word: str) -> None:
    """A word that Twilio may invent is `unknown`, which replaces no other status."""
    assert delivery_of(word) is Delivery.UNKNOWN
    assert RANKS[Delivery.UNKNOWN] == min(RANKS.values())


def test_every_delivery_has_a_rank_of_one_digit() -> None:
    """Each status has its rank, and the script that compares ranks reads one digit."""
    assert set(RANKS) == set(Delivery)
    assert all(0 <= rank <= 9 for rank in RANKS.values())


@given(st.lists(st.sampled_from(Delivery)), st.sampled_from(Delivery))
def test_the_order_never_goes_back(history: list[Delivery], late: Delivery) -> None:
    """No callback, however late or often, takes a message back to an earlier status."""
    before = last_standing(history)
    after = last_standing([*history, late])
    assert RANKS[after] >= RANKS[before]
    assert after is before or RANKS[after] > RANKS[before]
    assert last_standing([*history, *history]) is before


@given(st.permutations([Delivery.QUEUED, Delivery.SENT, Delivery.DELIVERED, Delivery.READ, Delivery.SENT]))
def test_a_shuffled_journey_ends_alike(journey: list[Delivery]) -> None:
    """Callbacks of one journey come to the same end in every order."""
    assert last_standing(journey) is Delivery.READ


@pytest.mark.parametrize("end", [Delivery.DELIVERED, Delivery.UNDELIVERED, Delivery.FAILED, Delivery.CANCELED])
@pytest.mark.parametrize("rival", [Delivery.DELIVERED, Delivery.UNDELIVERED, Delivery.FAILED, Delivery.CANCELED])
def test_the_first_end_stays(end: Delivery, rival: Delivery) -> None:
    """Of two contradicting ends the first one stays."""
    assert last_standing([Delivery.QUEUED, end, rival]) is end


@pytest.mark.parametrize("enqueued", [True, False])
async def test_a_freed_confirmation_wakes_its_worker(enqueued: bool) -> None:  # noqa: FBT001 - parametrized
    """A callback that frees a waiting confirmation wakes the worker of that partition; any other wakes nobody."""
    witness = Witness()
    await reports(Recorder(enqueued=enqueued), witness).record(ID, 2, sid=SID, word="sent", error_code=None)
    assert witness.woken == (["b"] if enqueued else [])


@pytest.mark.parametrize(("word", "status"), [("delivered", Delivery.DELIVERED), ("teleported", Delivery.UNKNOWN)])
async def test_the_sid_comes_home_whatever_the_word(word: str, status: Delivery) -> None:
    """The store gets SID, status, error and sender of every callback, an unfamiliar word included."""
    store = Recorder()
    await reports(store, Witness()).record(ID, 3, sid=SID, word=word, error_code=30_003, sender="72345")
    assert store.given == [(ID, 3, {"sid": SID, "status": status, "error_code": 30_003, "sender": "72345"})]


async def test_a_callback_is_logged_once() -> None:
    """One callback is one event, with our word for what happened."""
    witness = Witness()
    await reports(Recorder(), witness).record(ID, 1, sid=SID, word="undelivered", error_code=30_005)
    [(event, fields)] = witness.events
    assert event == "delivery_reported"
    assert (fields["verification_id"], fields["send"]) == (ID, 1)
    assert (fields["delivery"], fields["error_code"]) == ("undelivered", 30_005)


async def test_a_callback_that_was_not_stored_is_not_swallowed() -> None:
    """When Redis does not answer the callback fails, so that Twilio repeats it, and nothing is claimed done."""
    witness = Witness()
    with pytest.raises(StoreUnavailable):
        await reports(Recorder(failure=StoreUnavailable()), witness).record(
            ID, 1, sid=SID, word="delivered", error_code=None
        )
    assert (witness.woken, witness.events) == ([], [])
