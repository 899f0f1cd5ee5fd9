"""The record of a verification: how it lies in its Redis hash, and how it is read.

Two letters a field, because a million of them are kept (a listpack of at most 512 bytes):

    st state        at attempts counted   n  sends so far    cr created (ms)   rs next send allowed (ms)
    to sealed number   tg number tag      pu purpose         co country        ln code length   tl TTL (s)
    lo locale, ch channel, ac action, rf reference, wo web origin, ah app hash,
    ip tag of the person's address: only when not the default
    c:<digest> -> send number    the code of each send (the code -> SID map is c: and s: together)
    s:<n> SID   t:<n> sent (ms)   d:<n> rank and delivery   x:<n> error code   f:<n> feedback
        (a test number's is 'none' from the start: nothing is ever owed for what was not sent)
    ow tag of whose API keys find it
    k:<n> tag of the Idempotency-Key that asked for it   lv newest send that was not taken back, when not n
    i:<tag> -> at|fingerprint|verdict   the checks that came with an Idempotency-Key

Numbers are sealed, codes are digests; what the fields come to is decided in the scripts.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from service.core.keyring import Keyring, SealBroken
from service.core.ports import NewVerification, StoreUnavailable
from service.core.verification import Action, Channel, Delivery, Feedback, Send, Status, Verification

_DEFAULTS = {b"lo": b"en", b"ch": b"sms", b"ac": b"code"}
# Looked up by their bytes: to call an enum with a value takes eight times as long, and a record holds seven.
_CHANNELS = {word.encode(): word for word in Channel}
_ACTIONS = {word.encode(): word for word in Action}
_DELIVERIES = {word.encode(): word for word in Delivery}
_FEEDBACKS = {word.encode(): word for word in Feedback}
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
        is_test=new.is_test,
        owner=new.owner,
    )


def read_record(keyring: Keyring, verification_id: str, reply: Iterable[Any]) -> Verification:
    """Read a script's `now_ms, field, value, …`. Raises `StoreUnavailable` when no key of ours opens the number."""
    answer = iter(reply)
    now_ms = next(answer)
    record = dict(_DEFAULTS)
    record.update(zip(answer, answer, strict=True))
    optional = record.get
    try:
        to = keyring.unseal(verification_id, record[b"to"]).decode()
    except SealBroken as broken:
        raise StoreUnavailable(str(broken)) from None
    ttl_seconds, sends_made, channel = int(record[b"tl"]), int(record[b"n"]), _CHANNELS[record[b"ch"]]
    sends = tuple([_send(record, number, channel) for number in range(1, sends_made + 1)])
    newest = sends[int(optional(b"lv", sends_made)) - 1]
    expires_at_ms = newest.sent_at_ms + ttl_seconds * 1000
    status = _STATES[record[b"st"]]
    return Verification(
        id=verification_id,
        to=to,
        status=Status.EXPIRED if status is Status.PENDING and now_ms >= expires_at_ms else status,
        channel=channel,
        action=_ACTIONS[record[b"ac"]],
        purpose=record[b"pu"].decode(),
        locale=record[b"lo"].decode(),
        reference=_text(optional(b"rf")),
        country=record[b"co"].decode(),
        code_length=int(record[b"ln"]),
        ttl_seconds=ttl_seconds,
        web_origin=_text(optional(b"wo")),
        app_hash=_text(optional(b"ah")),
        created_at_ms=int(record[b"cr"]),
        expires_at_ms=expires_at_ms,
        attempts=int(record[b"at"]),
        resend_at_ms=int(record[b"rs"]),
        sends=sends,
        client_tag=_text(optional(b"ip")),
        is_test=optional(b"f:1") == b"none",
        owner=_text(optional(b"ow")),
    )


def _send(record: Mapping[bytes, bytes], number: int, channel: Channel) -> Send:
    error_code = record.get(b"x:%d" % number)
    return Send(
        number=number,
        channel=channel,
        status=_DELIVERIES[record.get(b"d:%d" % number, b"0unknown")[1:]],
        error_code=None if error_code is None else int(error_code),
        sent_at_ms=int(record[b"t:%d" % number]),
        feedback=_FEEDBACKS[record.get(b"f:%d" % number, b"none")],
        request=_text(record.get(b"k:%d" % number)),
    )


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()
