"""`otp-service numbers`: show what is stored about a number, release its locks, erase it.

The output contains no number, code or digest. `core.numbers` defines what releasing and erasing do.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from service.app import open_redis
from service.cli.audit import audited
from service.cli.console import refuse
from service.cli.listing import AsJson, count_of, json_text, span
from service.config.policies import new_keyring, record_policy
from service.config.settings import load_settings, missing_secrets
from service.core.actions import Action
from service.core.instants import instant
from service.core.limits import MOST_FAILED_IN_A_ROW
from service.core.numbers import Held, HeldVerification, NumberRecord, Numbers
from service.core.phone import InvalidNumber, canonical_number
from service.store.numbers import RedisNumbers

commands = typer.Typer(no_args_is_help=True, help="Show what is stored about a number, release its locks, erase it.")

_HELP = (
    "The number in E.164 form, such as +14155550123, or - to read it from standard input: "
    "other users of this machine can see the arguments of a command."
)
Number = Annotated[str, typer.Argument(help=_HELP)]


@commands.command("show")
def show_number(number: Number, *, as_json: AsJson = False) -> None:
    """Show what is stored about a number: sends, failed checks, locks, and verifications with their ages.

    Example: otp-service numbers show +14155550123
    """

    async def show(numbers: Numbers, number: str) -> str:
        held = await numbers.held(number)
        if as_json:
            return json_text(_fields(held))
        return "\n".join(_describe(held)) if held else "Nothing is stored about this number."

    _with_numbers("numbers show", number, show)


@commands.command("release")
def release_number(number: Number) -> None:
    """Release the locks of a number: delete its counted sends and failed checks, and end its stop."""

    async def release(numbers: Numbers, number: str) -> str:
        if not await numbers.release(number):
            return "Nothing is stored about this number that could lock it."
        return (
            "Released: codes may be sent to this number again, unless a limit that it shares with others is reached.\n"
            "A verification without attempts left stays locked; request a new one."
        )

    _with_numbers("numbers release", number, release)


@commands.command("erase")
def erase_number(number: Number) -> None:
    """Erase a number: its verifications, sends and failed checks. Its pending codes stop working."""

    async def erase(numbers: Numbers, number: str) -> str:
        erased = await numbers.erase(number)
        if not erased:
            return "Nothing is stored about this number, so there was nothing to erase."
        record = "its sends and failed checks" if erased.record else "no sends or failed checks"
        return (
            f"Erased: {count_of(erased.verifications, 'verification')}, and {record}.\n"
            "Left: Message SIDs of pending and failed confirmations (at most 14 days), encrypted responses of "
            "Idempotency-Keys (at most 24 hours), and what Twilio stores about its messages."
        )

    _with_numbers("numbers erase", number, erase)


def _with_numbers(operation: str, number: str, step: Callable[[Numbers, str], Awaitable[str]]) -> None:
    settings = load_settings()
    if missing_secrets(settings):
        refuse("\n".join(missing_secrets(settings)))  # another index key would find nothing, without an error
    if number == "-":
        number = sys.stdin.readline().strip()
    try:
        number = canonical_number(number)
    except InvalidNumber as refusal:
        refuse(str(refusal))
    keyring = new_keyring(settings)

    async def run() -> str:
        async with open_redis(settings) as scripts:
            return await step(Numbers(RedisNumbers(scripts, keyring, record_policy(settings))), number)

    with audited(operation, number_tag=keyring.number_tag(number)):
        text = asyncio.run(run())
    typer.echo(text)


def _describe(held: Held) -> list[str]:
    lines = _describe_record(held.record) if held.record else ["No sends and no failed checks are stored."]
    for each in held.verifications:
        lines += ["", *_describe_verification(each)]
    return lines


def _describe_record(record: NumberRecord) -> list[str]:
    if record.is_stopped:
        state = "Stopped: until it is released, no code is sent to it and none is compared."
    elif record.wait_ms:
        state = f"No new code can be sent for another {span(record.wait_ms)}."
    else:
        state = "The limits of this number allow a new code now."
    return [
        _counted("send", record.sends_ms, record.now_ms),
        _counted("failed check", record.failed_ms, record.now_ms),
        f"Failed checks in a row: {record.failed_in_a_row} of at most {MOST_FAILED_IN_A_ROW}.",
        state,
        f"Listed for searches: {count_of(len(record.newest_ids), 'verification')}.",
        f"All this expires in {span(record.ttl_ms)}, unless the number is used again.",
    ]


def _counted(what: str, instants_ms: tuple[int, ...], now_ms: int) -> str:
    last = f", the last {span(now_ms - instants_ms[-1])} ago" if instants_ms else ""
    return f"Counted: {count_of(len(instants_ms), what)}{last}."


def _describe_verification(held: HeldVerification) -> list[str]:
    it, now_ms = held.verification, held.now_ms
    request = it.request
    particulars = [f"purpose {request.purpose}", f"country {request.country}", f"locale {request.locale}"]
    if request.action is not Action.CODE:
        particulars.append(f"action {request.action}")
    if it.is_test:
        particulars.append("a test number: nothing was sent")
    if request.reference is not None:
        particulars.append(f"reference {request.reference!r}")
    if request.web_origin is not None:
        particulars.append(f"web origin {request.web_origin}")
    if request.embedded_origin is not None:
        particulars.append(f"embedded origin {request.embedded_origin}")
    if request.origin_text is not None:
        particulars.append(f"origin {request.origin_text!r}")
    if it.payment is not None:
        particulars.append(f"payment of {it.payment.amount!r} to {it.payment.payee!r}")
    if it.client_tag is not None:
        particulars.append("a keyed digest of the client address")
    life = f"issued {span(now_ms - it.created_at_ms)} ago, expires in {span(held.ttl_ms)}"
    lines = [f"{it.id}: {it.status}, {life}, {count_of(it.attempts, 'check')} counted", f"  {', '.join(particulars)}"]
    for send in it.sends:
        age = span(now_ms - send.sent_at_ms)
        lines.append(f"  send {send.number}: {send.channel}, {age} ago, {send.status}, feedback {send.feedback}")
    return lines


def _fields(held: Held) -> dict[str, Any]:
    record = held.record
    return {
        "record": None if record is None else _record_fields(record),
        "verifications": [_verification_fields(each) for each in held.verifications],
    }


def _record_fields(record: NumberRecord) -> dict[str, Any]:
    return {
        "sends": [instant(at_ms) for at_ms in record.sends_ms],
        "failed_checks": [instant(at_ms) for at_ms in record.failed_ms],
        "failed_in_a_row": record.failed_in_a_row,
        "newest_ids": list(record.newest_ids),
        "stopped": record.is_stopped,
        "next_code_in": _seconds(record.wait_ms),
        "expires_in": _seconds(record.ttl_ms),
    }


def _verification_fields(held: HeldVerification) -> dict[str, Any]:
    it = held.verification
    request = it.request
    return {
        "id": it.id,
        "status": str(it.status),
        "action": str(request.action),
        "purpose": request.purpose,
        "country": request.country,
        "locale": request.locale,
        "reference": request.reference,
        "web_origin": request.web_origin,
        "embedded_origin": request.embedded_origin,
        "origin_text": request.origin_text,
        "amount": None if it.payment is None else it.payment.amount,
        "payee": None if it.payment is None else it.payment.payee,
        "test_number": it.is_test,
        "client_address_digest": it.client_tag is not None,
        "attempts": it.attempts,
        "created_at": instant(it.created_at_ms),
        "expires_in": _seconds(held.ttl_ms),
        "sends": [
            {
                "number": send.number,
                "channel": str(send.channel),
                "status": str(send.status),
                "error_code": send.error_code,
                "sent_at": instant(send.sent_at_ms),
                "feedback": str(send.feedback),
            }
            for send in it.sends
        ],
    }


def _seconds(ms: int) -> int:
    return -(-max(0, ms) // 1000)
