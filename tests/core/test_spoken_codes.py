"""The promises of `service.core.spoken_codes`: a seal fits one send, and only codes that are accepted are said."""

import re
import secrets

import pytest

from service.core.actions import Action
from service.core.channels import Channel
from service.core.delivery import DeliveryReports
from service.core.keyring import Keyring, SealBroken
from service.core.sender import Speech
from service.core.spoken_codes import CodeEnded, SpeechSeal, SpokenCodes
from service.core.verification import Delivery, Feedback, Send, Status, Verification, VerificationRequest, new_id
from service.core.verification_store import UnknownVerification

SID = "CA" + "1" * 32
SPEECH = Speech("de", "Acme “& Co”", "493817")
TTL_MS = 600_000


def keyring(*keys: bytes) -> Keyring:
    """Make a keyring of these keys, newest first."""
    return Keyring(keys or [secrets.token_bytes(32)], secrets.token_bytes(32))


def test_a_seal_opens_for_its_send_only() -> None:
    """What was sealed for a send is text for an address, and opens for this send alone, whatever was changed."""
    seal, one, other = SpeechSeal(keyring()), new_id("3"), new_id("3")
    sealed = seal.seal(one, 2, SPEECH)
    assert re.fullmatch("[A-Za-z0-9_-]{60,200}", sealed)
    assert SPEECH.code not in sealed
    assert seal.open(one, 2, sealed) == SPEECH
    changed = sealed[:-9] + ("A" if sealed[-9] != "A" else "B") + sealed[-8:]
    for verification_id, send_number, text in (
        *((one, 1, sealed), (one, 22, sealed), (other, 2, sealed)),
        *((one, 2, changed), (one, 2, sealed[:-4]), (one, 2, ""), (one, 2, "ä" * 80), (one, 2, "=" * 80)),
    ):
        with pytest.raises(SealBroken):
            seal.open(verification_id, send_number, text)


def test_a_seal_survives_a_rotation() -> None:
    """A call that was made under the older key is heard under the newer one, and under no other."""
    old, new, index = (secrets.token_bytes(32) for _ in range(3))
    sealed = SpeechSeal(Keyring([old], index)).seal("ve_1", 1, SPEECH)
    assert SpeechSeal(Keyring([new, old], index)).open("ve_1", 1, sealed) == SPEECH
    with pytest.raises(SealBroken):
        SpeechSeal(Keyring([new], index)).open("ve_1", 1, sealed)


def test_a_sealed_number_is_no_speech() -> None:
    """The seal of a number, which the record keeps, cannot be heard."""
    ring = keyring()
    with pytest.raises(SealBroken):
        SpeechSeal(ring).open("ve_1", 1, ring.seal("ve_1", b"+14155550123").hex())


class _Store:
    """Holds one verification, and what was recorded of it."""

    def __init__(self, status: Status, age_ms: int, sends: int = 1) -> None:
        sent = [Send(number, Channel.VOICE, Delivery.SENT, None, 0, Feedback.NONE) for number in range(1, sends + 1)]
        request = VerificationRequest("US", locale="de", action=Action.CODE, ttl_seconds=TTL_MS // 1000)
        self.verification = Verification(
            new_id("3"), "+14155550123", status, request, tuple(sent), TTL_MS, age_ms, attempts=0, resend_at_ms=0
        )
        self.recorded: list[tuple[int, str, Delivery]] = []

    async def read(self, verification_id: str) -> Verification:
        """Return the verification."""
        if verification_id != self.verification.id:
            raise UnknownVerification
        return self.verification

    async def deliver(self, _id: str, send: int, *, sid: str, status: Delivery, **_more: object) -> bool:
        """Record a status."""
        self.recorded.append((send, sid, status))
        return False


async def hear(
    store: _Store, *, send: int = 1, verification_id: str | None = None, supersede_codes: bool = False
) -> Speech:
    """Press a key in the call of a send."""
    seal = SpeechSeal(keyring())
    reports = DeliveryReports(store, wake=lambda _: None, event_log=lambda *_, **__: None)  # type: ignore[arg-type]
    asked = verification_id or store.verification.id
    codes = SpokenCodes(store, seal, reports, supersede_codes=supersede_codes)  # type: ignore[arg-type]
    return await codes.hear(asked, send, seal.seal(asked, send, SPEECH), sid=SID)


async def test_a_pending_code_is_said_and_delivered() -> None:
    """After a key the code of a pending verification is said, and its call is delivered."""
    store = _Store(Status.PENDING, age_ms=TTL_MS - 1)
    assert await hear(store) == SPEECH
    assert store.recorded == [(1, SID, Delivery.DELIVERED)]


@pytest.mark.parametrize(
    ("status", "age_ms", "is_approved"),
    [
        (Status.PENDING, TTL_MS, False),
        (Status.EXPIRED, TTL_MS, False),
        (Status.CANCELED, 1000, False),
        (Status.MAX_ATTEMPTS_REACHED, 1000, False),
        (Status.APPROVED, 1000, True),
    ],
)
async def test_a_code_that_has_ended_is_not_said(status: Status, age_ms: int, *, is_approved: bool) -> None:
    """A call that comes too late says no code; it reached the person nevertheless."""
    store = _Store(status, age_ms)
    with pytest.raises(CodeEnded) as ended:
        await hear(store)
    assert (ended.value.locale, ended.value.is_approved) == ("de", is_approved)
    assert store.recorded == [(1, SID, Delivery.DELIVERED)]


async def test_a_superseded_code_is_not_said() -> None:
    """Where only the newest code counts, the call of an older one says none; one that failed ends no code."""
    store = _Store(Status.PENDING, age_ms=1000, sends=2)
    assert await hear(store) == SPEECH
    with pytest.raises(CodeEnded) as ended:
        await hear(store, supersede_codes=True)
    assert not ended.value.is_approved
    assert await hear(store, send=2, supersede_codes=True) == SPEECH
    first, second = store.verification.sends
    store.verification = store.verification._replace(sends=(first, second._replace(status=Delivery.FAILED)))
    assert await hear(store, supersede_codes=True) == SPEECH


async def test_an_unknown_send_is_not_said() -> None:
    """Nothing is said or recorded of a send that the verification does not have, or of no verification."""
    store = _Store(Status.PENDING, age_ms=1000)
    for more in ({"send": 2}, {"verification_id": new_id("4")}):
        with pytest.raises(UnknownVerification):
            await hear(store, **more)
    assert store.recorded == []
