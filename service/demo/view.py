"""What the demo's page shows of one verification: from its record in Redis and what the simulator has of its messages.

The page gets words and numbers, and no name of a field in Redis: `messages` for the steps of the loop, `details` for
those who want to see the record itself. Instants are milliseconds since the epoch.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from service.core.actions import ACTIONS, Action
from service.core.channels import DEFAULT_CHANNEL
from service.demo.recoveries import recoveries
from service.sandbox import Call, CallbackPost, FeedbackPost, Ledger, Message, SimulatedFault, number_of
from service.store.fields import FIELDS

Record = Mapping[bytes, bytes]
Entry = Message | Call | FeedbackPost | CallbackPost | SimulatedFault
_CODE = FIELDS.key("code").encode()
# The digits of a link might be read as a code.
_LONGEST_FIRST = (Action.LINK, Action.PASSWORD, Action.CODE, Action.REPLY)
_TO_CALL = re.compile(r"\+[0-9]{7,15}")  # only a message that asks for a call names a number
_INSTANTS = {FIELDS.key("resend_at_ms"), FIELDS.send_key("sent_at_ms").rstrip(":")}
_CALLBACK = re.compile(r"/twilio/(?:status|call)/(ve_[0-9a-f]{32})/([0-9]+)")


def view(verification_id: str, record: Record, ledger: Ledger) -> dict[str, Any]:
    """Show a verification; of one that is not in Redis, nothing but its id."""
    accepted: list[Message | Call] = [*ledger.messages(), *ledger.calls()]
    sent = {number: each for each in accepted for number in _number_in(each, verification_id)}
    digests = {number: digest for digest, number in _codes(record)}
    messages = [_message(record, digests.get(number), number, sent.get(number)) for number in _numbers(record)]
    action = _field(record, "action") or Action.CODE
    faults = [(number, fault) for fault in ledger.faults() for number in _number_of(fault, verification_id, ledger)]
    return {
        "id": verification_id,
        "reference": _field(record, "reference"),
        "action": action,
        "status": _field(record, "status"),
        "attempts": int(_field(record, "attempts") or 0),
        "messages": messages,
        "recoveries": [each._asdict() for each in recoveries(messages, faults, ledger, action)],
        "details": [{"name": _name(key), "value": _readable(key, value)} for key, value in sorted(record.items())],
    }


def verification_of(entry: Entry, ledger: Ledger) -> str | None:
    """Find the verification that an entry of the simulator belongs to: its status callback names it."""
    found = _callback(entry, ledger)
    return found[1] if found else None


def phone_of(verification_id: str, ledger: Ledger) -> str | None:
    """Find the number that a verification's messages go to, even if none was ever accepted."""
    entries: list[Message | Call | SimulatedFault] = [*ledger.messages(), *ledger.calls(), *ledger.faults()]
    found = (entry.to for entry in entries if entry.to and verification_of(entry, ledger) == verification_id)
    return next(map(number_of, found), None)


def action_of(verification_id: str, ledger: Ledger) -> Action:
    """Find what a verification asks for, by what its newest message carries; without a message, a code."""
    sent = [each for each in ledger.messages() if verification_of(each, ledger) == verification_id]
    body = sent[-1].body if sent else ""
    if _TO_CALL.search(body):
        return Action.CALL
    return next((action for action in _LONGEST_FIRST if any(ACTIONS[action].found_in(body))), Action.CODE)


def send_number_of(message: Message) -> int:
    """Find which message of its verification this is; 1 if nothing says so."""
    found = _CALLBACK.search(message.status_callback or "")
    return int(found[2]) if found else 1


def code_to_sid(record: Record) -> list[str]:
    """Describe how the digest of each code leads to the SID of its message."""
    return [
        f"digest {digest[:12]}… → send {number} → {_send_field(record, 'sid', number) or 'SID not known yet'}"
        for digest, number in _codes(record)
    ]


def _message(record: Record, digest: str | None, number: int, sent: Message | Call | None) -> dict[str, Any]:
    status = _send_field(record, "status", number)
    stored_at_ms = int(_send_field(record, "sent_at_ms", number) or 0)
    return {
        "number": number,
        "channel": _send_field(record, "channel", number) or DEFAULT_CHANNEL,
        "digest": digest,  # None once a message was refused: its secret is never accepted
        "sid": _send_field(record, "sid", number),
        "delivery": status[1:] if status else None,  # its rank comes first
        "error": _send_field(record, "error_code", number),
        "feedback": _send_field(record, "feedback", number),
        "stored_at_ms": stored_at_ms,
        "expires_at_ms": stored_at_ms + 1000 * int(_field(record, "ttl_seconds") or 0),
        "twilio": sent and {
            "status": sent.status,
            "created_at_ms": _milliseconds(sent.created_at),
            "updated_at_ms": _milliseconds(sent.updated_at),
            **_of_messages(sent),
        },
    }  # fmt: skip


def _of_messages(sent: Message | Call) -> dict[str, Any]:
    """Show what only messages have: scanned links, and feedback."""
    if isinstance(sent, Call):
        return {"is_scanned": False, "confirmed_at_ms": None}
    confirmed_at = sent.feedback_at if sent.outcome == "confirmed" else None
    return {"is_scanned": bool(sent.scans), "confirmed_at_ms": confirmed_at and _milliseconds(confirmed_at)}


def _codes(record: Record) -> list[tuple[str, int]]:
    """List the digests of the codes, each with the number of its message, by number."""
    codes = [(key.removeprefix(_CODE).hex(), int(number)) for key, number in record.items() if key.startswith(_CODE)]
    return sorted(codes, key=lambda code: code[1])


def _numbers(record: Record) -> list[int]:
    """List the numbers of the messages that were stored, refused ones too."""
    stored = FIELDS.send_key("sent_at_ms").encode()
    numbers = (key.removeprefix(stored) for key in record if key.startswith(stored))
    return sorted(int(number) for number in numbers)


def _number_in(message: Message | Call, verification_id: str) -> Iterator[int]:
    found = _CALLBACK.search(message.status_callback or "")
    if found and found[1] == verification_id:
        yield int(found[2])


def _number_of(fault: SimulatedFault, verification_id: str, ledger: Ledger) -> Iterator[int]:
    found = _callback(fault, ledger)
    if found and found[1] == verification_id:
        yield int(found[2])


def _callback(entry: Entry, ledger: Ledger) -> re.Match[str] | None:
    url = getattr(entry, "status_callback", None)
    if url is None and entry.sid and (message := ledger.message(entry.sid) or ledger.call(entry.sid)):
        url = message.status_callback
    return _CALLBACK.search(url or "")


def _field(record: Record, name: str) -> str | None:
    value = record.get(FIELDS.key(name).encode())
    return None if value is None else value.decode()


def _send_field(record: Record, name: str, number: int) -> str | None:
    value = record.get(FIELDS.send_key(name, number).encode())
    return None if value is None else value.decode()


def _name(key: bytes) -> str:
    """Name a field in words; one that this version does not know, as it is."""
    kind, colon, suffix = key.partition(b":")
    try:
        return FIELDS.label((kind + colon).decode(), _text(suffix))
    except (KeyError, UnicodeDecodeError):
        return _text(key)


def _text(value: bytes) -> str:
    """Show a value as text; what is binary, such as a digest or an encrypted number, in hex."""
    return value.decode() if value.isascii() and value.decode().isprintable() else value.hex()


def _readable(key: bytes, value: bytes) -> str:
    """Show a value as it is stored; part the rank of a status from its word, and add its time of day to an instant."""
    name, text = key.partition(b":")[0].decode(errors="replace"), _text(value)
    if name == FIELDS.send_key("status").rstrip(":"):
        return f"{text[:1]}, {text[1:]}"
    if name in _INSTANTS and text.isdigit():
        return f"{text} ({datetime.fromtimestamp(int(text) / 1000, UTC):%H:%M:%S.%f}"[:-3] + " UTC)"
    return text


def _milliseconds(instant: datetime) -> int:
    return round(instant.timestamp() * 1000)
