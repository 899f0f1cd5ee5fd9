"""The record of a verification: how it lies in its Redis hash, and how it is read.

Two letters a field, because a million of them are kept (a listpack of at most 512 bytes):

    st state        at attempts counted   n  sends so far    cr created (ms)   rs next send allowed (ms)
    to sealed number   tg number tag      pu purpose         co country        ln code length   tl TTL (s)
    lo locale, ch channel, ac action, rf reference, wo web origin, ah app hash,
    ip tag of the person's address: only when not the default
    ky tag of the API key that issued it
    c:<digest> -> send number    the code of each send (the code -> SID map is c: and s: together)
    s:<n> SID   t:<n> sent (ms)   d:<n> rank and delivery   x:<n> error code   f:<n> feedback
    fr:<n> sender that carried it, as the callbacks say; nothing reads it yet
        (a test number's is 'none' from the start: nothing is ever pending for what was not sent)
    (d: 0unknown is of a send that was handed to Twilio and got no clear answer)
    ow tag of whose API keys find it
    l:<n> how often the message was looked for at Twilio, because its code was typed and its SID is unknown
    k:<n> tag of the Idempotency-Key that asked for it   lv newest send that was not taken back, when not n
    i:<tag> -> at|fingerprint|verdict   the checks that came with an Idempotency-Key

Numbers are sealed, codes are digests; what the fields come to is decided in the scripts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from service.core.actions import Action
from service.core.channels import Channel
from service.core.keyring import Keyring, SealBroken
from service.core.store_health import UNREADABLE, StoreUnavailable
from service.core.verification import Delivery, Feedback, Send, Status, Verification
from service.core.verification_store import NewVerification

_PLACES_OF_A_SEND, _FEEDBACK = 5, 3
_STEP_MS = 5000  # as in clock.lua: what was sent further in the future has expired
# Looked up by their bytes: to call an enum with a value takes eight times as long, and a record holds seven.
# None: what the record leaves out.
_CHANNELS: Mapping[bytes | None, Channel] = {None: Channel.SMS, **{word.encode(): word for word in Channel}}
_ACTIONS: Mapping[bytes | None, Action] = {None: Action.CODE, **{word.encode(): word for word in Action}}
_DELIVERIES = {word.encode(): word for word in Delivery}
_FEEDBACKS: Mapping[bytes | None, Feedback] = {None: Feedback.NONE, **{word.encode(): word for word in Feedback}}
_STATES = {b"locked": Status.MAX_ATTEMPTS_REACHED, **{word.encode(): word for word in Status}}


def new_record(keyring: Keyring, new: NewVerification, number_tag: str) -> list[bytes | str | int]:
    """Write what a new record holds beside what the script adds, as field, value, field, value."""
    fields: list[bytes | str | int] = [
        *(("f:1", Feedback.NONE) if new.is_test else ()),
        *("to", keyring.seal(new.id, new.to.encode()), "tg", number_tag, "pu", new.purpose),
        *("co", new.country, "ln", new.code_length, "tl", new.ttl_seconds),
    ]
    for name, value, default in (
        ("lo", new.locale, "en"),
        ("ch", new.channel, Channel.SMS),
        ("ac", new.action, Action.CODE),
        ("rf", new.reference, None),
        ("wo", new.web_origin, None),
        ("ah", new.app_hash, None),
        ("ip", new.client_tag, None),
        ("ky", new.key_tag, None),
        ("ow", new.owner, None),
    ):
        if value is not None and value != default:
            fields += [name, value]
    return fields


def issued_verification(new: NewVerification, now_ms: int, resend_at_ms: int) -> Verification:
    """Tell what a record that was just written holds: what reading it back would tell."""
    return Verification(
        id=new.id,
        to=new.to,
        status=Status.PENDING,
        channel=new.channel,
        action=new.action,
        purpose=new.purpose,
        locale=new.locale,
        reference=new.reference,
        country=new.country,
        code_length=new.code_length,
        ttl_seconds=new.ttl_seconds,
        web_origin=new.web_origin,
        app_hash=new.app_hash,
        created_at_ms=now_ms,
        expires_at_ms=now_ms + new.ttl_seconds * 1000,
        attempts=0,
        resend_at_ms=resend_at_ms,
        sends=(Send(1, new.channel, Delivery.UNKNOWN, None, now_ms, Feedback.NONE),),
        client_tag=new.client_tag,
        key_tag=new.key_tag,
        is_test=new.is_test,
        owner=new.owner,
    )


def read_record(
    keyring: Keyring,
    verification_id: str,
    shown: Sequence[Any],
    client_tag: bytes | None = None,
    key_tag: bytes | None = None,
) -> Verification:
    """Read what `shown.lua` shows, by place. Raises `StoreUnavailable` when no key of ours opens the number."""
    now_ms, state, attempts, sends_made, created_ms, resend_at_ms, sealed, ttl_seconds, purpose, country, *more = shown
    code_length, newest, locale, channel_word, action, reference, web_origin, app_hash, owner, *rest = more
    try:
        to = keyring.unseal(verification_id, sealed).decode()
    except SealBroken as broken:
        raise StoreUnavailable(str(broken), UNREADABLE) from None
    channel, status = _CHANNELS[channel_word], _STATES[state]
    sends = tuple(
        [
            _send(place // _PLACES_OF_A_SEND + 1, channel, rest[place : place + _PLACES_OF_A_SEND])
            for place in range(0, len(rest), _PLACES_OF_A_SEND)
        ]
    )
    sent_at_ms = sends[(newest or sends_made) - 1].sent_at_ms
    since_ms, expires_at_ms = sent_at_ms - _STEP_MS, sent_at_ms + ttl_seconds * 1000
    # By place, in the order of its fields: named, they would take as long as unsealing the number.
    return Verification._make(
        (
            verification_id,
            to,
            Status.EXPIRED if status is Status.PENDING and not since_ms <= now_ms < expires_at_ms else status,
            channel,
            _ACTIONS[action],
            purpose.decode(),
            "en" if locale is None else locale.decode(),
            reference and reference.decode(),
            country.decode(),
            code_length,
            ttl_seconds,
            web_origin and web_origin.decode(),
            app_hash and app_hash.decode(),
            created_ms,
            expires_at_ms,
            attempts,
            resend_at_ms,
            sends,
            client_tag and client_tag.decode(),
            key_tag and key_tag.decode(),
            rest[_FEEDBACK] == b"none",
            owner and owner.decode(),
        )
    )


def _send(number: int, channel: Channel, places: Sequence[Any]) -> Send:
    sent_ms, delivery, error_code, feedback, request = places
    return Send(
        number=number,
        channel=channel,
        status=Delivery.UNKNOWN if delivery is None else _DELIVERIES[delivery[1:]],  # its first digit is its rank
        error_code=error_code,
        sent_at_ms=sent_ms or 0,
        feedback=_FEEDBACKS[feedback],
        request=None if request is None else request.decode(),
    )
