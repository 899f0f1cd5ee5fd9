"""`service.providers.twilio.statuses`: every status and SID format of Twilio is recognised, and no other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.rest.api.v2010.account.call import CallInstance  # type: ignore[import-untyped]
from twilio.rest.api.v2010.account.message import MessageInstance  # type: ignore[import-untyped]

from service.core.delivery import RANKS
from service.core.verification import Delivery
from service.providers.twilio.statuses import call_delivery_of, delivery_of, is_call_sid, is_message_sid

INBOUND = {"receiving", "received"}
CALL_WORDS = {word for name, word in vars(CallInstance.Status).items() if name.isupper()} | {"initiated"}
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


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("queued", "queued"),
        ("initiated", "queued"),
        ("ringing", "sent"),
        ("in-progress", "sent"),
        # Somebody, or something, answered. A key that was pressed is recorded as `delivered` by then.
        ("completed", "undelivered"),
        ("busy", "undelivered"),
        ("no-answer", "undelivered"),
        ("failed", "failed"),
        ("canceled", "failed"),
        ("answered-by-a-fax", "unknown"),
    ],
)
def test_the_words_of_calls(word: str, status: str) -> None:
    """Each status of a call is one of a delivery; an end without a key is none, whoever answered."""
    assert call_delivery_of(word) == status


@pytest.mark.parametrize("word", sorted(CALL_WORDS))
def test_every_word_of_a_call_is_known(word: str) -> None:
    """Each status that Twilio's own library lists for a call has one of our statuses."""
    assert call_delivery_of(word) is not Delivery.UNKNOWN


def test_a_key_stays_when_its_call_ends() -> None:
    """An end of a call never replaces `delivered`, which the key has recorded."""
    ends = ("completed", "busy", "no-answer", "failed", "canceled")
    assert {RANKS[call_delivery_of(word)] for word in ends} == {RANKS[Delivery.DELIVERED]}


@pytest.mark.parametrize("text", ["", "CA", "CA" + "g" * 32, "SM" + "a" * 32, f"CA{'a' * 32}/x", f"CA{'a' * 32}\n"])
def test_only_a_call_sid_is_one(text: str) -> None:
    """A Call SID is CA and 32 hex digits, whatever their case; nothing else is one."""
    assert is_call_sid("CA0123456789abcdefABCDEF0123456789")
    assert not is_call_sid(text)
