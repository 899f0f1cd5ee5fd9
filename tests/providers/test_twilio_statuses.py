"""`service.providers.twilio.statuses`: every status and SID format of Twilio is recognised, and no other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.rest.api.v2010.account.message import MessageInstance  # type: ignore[import-untyped]

from service.core.delivery import RANKS
from service.core.verification import Delivery
from service.providers.twilio.statuses import delivery_of, is_message_sid

INBOUND = {"receiving", "received"}
TWILIO_WORDS = {word for name, word in vars(MessageInstance.Status).items() if name.isupper()}


@pytest.mark.parametrize("word", sorted(TWILIO_WORDS - INBOUND))
def test_every_outbound_word_of_twilio_is_known(word: str) -> None:
    """Each status that Twilio's own library lists for an outgoing message has one of our statuses."""
    assert delivery_of(word) is not Delivery.UNKNOWN


@pytest.mark.parametrize("word", ["sent", "delivered", "undelivered", "failed", "canceled", "read", "queued"])
def test_shared_words_keep_their_meaning(word: str) -> None:
    """A status that Twilio and we both use is translated to itself."""
    assert delivery_of(word) == word


@pytest.mark.parametrize(("word", "status"), [("accepted", "queued"), ("scheduled", "queued"), ("sending", "queued")])
def test_messages_that_twilio_holds_are_queued(word: str, status: str) -> None:
    """A message that Twilio still holds is queued."""
    assert delivery_of(word) == status


def test_delivered_in_part_is_not_delivered() -> None:
    """A message that was delivered in part is only `sent`."""
    assert delivery_of("partially_delivered") is Delivery.SENT


@given(st.text().filter(lambda word: word not in TWILIO_WORDS - INBOUND))
def test_an_unknown_word_changes_nothing(word: str) -> None:
    """A status that Twilio may add later is `unknown`, which replaces no other status."""
    assert delivery_of(word) is Delivery.UNKNOWN
    assert RANKS[Delivery.UNKNOWN] == min(RANKS.values())


@pytest.mark.parametrize("kind", ["SM", "MM"])
def test_the_sids_of_messages_are_known(kind: str) -> None:
    """The SIDs of SMS and MMS are valid, whatever the case of their digits."""
    assert is_message_sid(kind + "0123456789abcdefABCDEF0123456789")


@pytest.mark.parametrize("text", ["", "SM", "SM" + "g" * 32, "AC" + "a" * 32, "SM" + "a" * 33, f"SM{'a' * 32}/x"])
def test_no_other_text_is_a_sid(text: str) -> None:
    """A text of any other format never becomes part of a path of Twilio's API."""
    assert not is_message_sid(text)
