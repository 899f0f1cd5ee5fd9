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

from collections.abc import Sequence
from typing import Any

from service.core.keyring import Keyring, SealBroken
from service.core.ports import NewVerification, StoreUnavailable
from service.core.verification import Action, Channel, Delivery, Feedback, Send, Status, Verification

_DEFAULTS = {b"lo": b"en", b"ch": b"sms", b"ac": b"code"}


def new_record(keyring: Keyring, new: NewVerification, number_tag: str) -> list[bytes | str | int]:
    """Write what a new record holds beside what the script adds, as field, value, field, value."""
    optional = {
        "lo": new.locale,
        "ch": new.channel,
        "ac": new.action,
        "rf": new.reference,
        "wo": new.web_origin,
        "ah": new.app_hash,
        "ip": new.client_tag,
        "ow": new.owner,
    }
    fields: list[bytes | str | int] = [
        *(("f:1", Feedback.NONE) if new.is_test else ()),
        *("to", keyring.seal(new.id, new.to.encode()), "tg", number_tag, "pu", new.purpose),
        *("co", new.country, "ln", new.code_length, "tl", new.ttl_seconds),
    ]
    for name, value in optional.items():
        if value is not None and _DEFAULTS.get(name.encode()) != value.encode():
            fields += [name, value]
    return fields


def read_record(keyring: Keyring, verification_id: str, reply: Sequence[Any]) -> Verification:
    """Read a script's `now_ms, field, value, …`. Raises `StoreUnavailable` when no key of ours opens the number."""
    now_ms = reply[0]
    record = {**_DEFAULTS, **dict(zip(reply[1::2], reply[2::2], strict=True))}
    try:
        to = keyring.unseal(verification_id, record[b"to"]).decode()
    except SealBroken as broken:
        raise StoreUnavailable(str(broken)) from None
    sends = tuple(_send(record, number) for number in range(1, int(record[b"n"]) + 1))
    newest = sends[int(record.get(b"lv", record[b"n"])) - 1]
    expires_at_ms = newest.sent_at_ms + int(record[b"tl"]) * 1000
    return Verification(
        id=verification_id,
        to=to,
        status=_status(record[b"st"], expired=now_ms >= expires_at_ms),
        channel=Channel(record[b"ch"].decode()),
        action=Action(record[b"ac"].decode()),
        purpose=record[b"pu"].decode(),
        locale=record[b"lo"].decode(),
        reference=_text(record.get(b"rf")),
        country=record[b"co"].decode(),
        code_length=int(record[b"ln"]),
        ttl_seconds=int(record[b"tl"]),
        web_origin=_text(record.get(b"wo")),
        app_hash=_text(record.get(b"ah")),
        created_at_ms=int(record[b"cr"]),
        expires_at_ms=expires_at_ms,
        attempts=int(record[b"at"]),
        resend_at_ms=int(record[b"rs"]),
        sends=sends,
        client_tag=_text(record.get(b"ip")),
        owner=_text(record.get(b"ow")),
        is_test=record.get(b"f:1") == Feedback.NONE.encode(),
    )


def _send(record: dict[bytes, bytes], number: int) -> Send:
    error_code = record.get(b"x:%d" % number)
    return Send(
        number=number,
        channel=Channel(record[b"ch"].decode()),
        status=Delivery(record.get(b"d:%d" % number, b"0unknown")[1:].decode()),
        error_code=None if error_code is None else int(error_code),
        sent_at_ms=int(record[b"t:%d" % number]),
        feedback=Feedback(record.get(b"f:%d" % number, b"none").decode()),
        request=_text(record.get(b"k:%d" % number)),
    )


def _status(state: bytes, *, expired: bool) -> Status:
    if state == b"pending":
        return Status.EXPIRED if expired else Status.PENDING
    return Status.MAX_ATTEMPTS_REACHED if state == b"locked" else Status(state.decode())


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()
