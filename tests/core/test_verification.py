"""The promises of `service.core.verification`: ids that cannot be guessed, and fixed API values."""

import secrets
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, ValidationError

from service.core.actions import Action
from service.core.channels import Channel
from service.core.verification import (
    ID_PATTERN,
    CheckResult,
    Delivery,
    Feedback,
    Send,
    Status,
    Verdict,
    Verification,
    VerificationRequest,
    is_id,
    new_id,
    partition_of,
)

PARTITIONS = "0123456789abcdef"
ID = "ve_" + "3f09" * 8
SEND = Send(
    number=1,
    channel=Channel.SMS,
    status=Delivery.QUEUED,
    error_code=None,
    sent_at_ms=1_000,
    feedback=Feedback.NONE,
)
VERIFICATION = Verification(
    id=ID,
    to="+14155552671",
    status=Status.PENDING,
    request=VerificationRequest("US", code_length=6, ttl_seconds=600),
    expires_at_ms=601_000,
    read_at_ms=1_000,
    attempts=0,
    resend_at_ms=31_000,
    sends=(SEND,),
)


@pytest.mark.parametrize("partition", PARTITIONS)
def test_an_id_carries_its_partition(partition: str) -> None:
    """The first digit of an id is its partition, so that its Redis slot follows from the id alone."""
    drawn = [new_id(partition) for _ in range(50)]
    assert all(is_id(text) for text in drawn)
    assert {partition_of(text) for text in drawn} == {partition}


def test_an_id_has_124_random_bits() -> None:
    """Every bit after the partition takes both values, and no id repeats."""
    drawn = [int(new_id("0").removeprefix("ve_"), 16) for _ in range(500)]
    always, ever = 2**124 - 1, 0
    for number in drawn:
        always &= number
        ever |= number
    assert (always, ever) == (0, 2**124 - 1)
    assert len(set(drawn)) == 500


def test_a_small_random_number_is_padded(monkeypatch: pytest.MonkeyPatch) -> None:
    """An id keeps its length when its random bits start with zeros."""
    monkeypatch.setattr(secrets, "randbits", lambda _bits: 1)
    assert new_id("f") == "ve_f" + "0" * 30 + "1"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ve_",
        ID[:-1],
        ID + "0",
        ID + "\n",
        "\n" + ID,
        " " + ID,
        ID.upper(),
        "VE_" + ID[3:],
        "VE" + ID[3:],
        "vt_" + ID[3:],
        ID[3:],
        "ve-" + ID[3:],
        ID[:-1] + "g",
        ID[:-1] + "F",
        ID[:-1] + "\0",
        "ve_../" + ID[6:],
        ID[:-1] + "\uff11",
        ID[:-1] + "\u0661",
        ID[:-1] + "\uff41",
        "v\u0435_" + ID[3:],
        ID + "{0}",
    ],
    ids=ascii,
)
def test_malformed_ids_are_refused(text: str) -> None:
    """Another prefix, length, case or script, and anything that could change the name of the key, is not an id."""
    assert not is_id(text)


@given(st.from_regex(r"ve_[0-9a-f]{30,34}\n?") | st.text(max_size=40))
def test_the_schema_and_the_rule_agree(text: str) -> None:
    """The published pattern and the rule accept the same ids."""
    schema = TypeAdapter(Annotated[str, Field(pattern=ID_PATTERN)])
    try:
        schema.validate_python(text)
    except ValidationError:
        assert not is_id(text)
    else:
        assert is_id(text)


@pytest.mark.parametrize("verdict", Verdict)
def test_only_approved_is_valid(verdict: Verdict) -> None:
    """A check is valid only if its verdict is `approved`."""
    assert CheckResult(verdict, VERIFICATION).valid is (verdict == "approved")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (Channel, "sms whatsapp voice"),
        (Action, "code password link reply call"),
        (Status, "pending approved expired canceled max_attempts_reached failed"),
        (Verdict, "approved wrong_code expired superseded used locked canceled mismatch"),
        (Feedback, "none awaiting_sid pending confirmed failed"),
        (Delivery, "unknown queued sent delivered undelivered failed canceled read"),
    ],
)
def test_the_api_values_are_fixed(words: type, expected: str) -> None:
    """The API has exactly these values: a client that knows them knows them all."""
    assert {str(word) for word in TypeAdapter(list[words]).validate_python(expected.split())} == set(expected.split())  # type: ignore[valid-type]
    assert {member.value for member in words} == set(expected.split())  # type: ignore[attr-defined]


@pytest.mark.parametrize("value", [SEND, VERIFICATION, CheckResult(Verdict.USED, VERIFICATION)])
def test_values_are_immutable(value: object) -> None:
    """Values are immutable after they have been returned."""
    name = value._fields[0]  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        setattr(value, name, None)
