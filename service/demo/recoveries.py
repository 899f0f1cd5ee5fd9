"""What went wrong with the messages of a verification, and how the service survived it, in sentences for the demo.

The simulator says which faults it has simulated, and what was posted; the record says what the service knows. Each
sentence follows from both as they are now, so it stays on a page that is opened again, and none is there before what it
says has happened. `fault_stories` has the sentences.
"""

from collections.abc import Iterable
from typing import NamedTuple

from service.demo.fault_stories import FOUND_SID, GENERAL, LOSES_SID, Message, is_typed, story_of, words_of
from service.sandbox import Ledger, SimulatedFault

# A message that is no longer in the record: Twilio was busy, or Redis has deleted the record.
_GONE = {"sid": None, "delivery": None, "feedback": None, "twilio": None}


class Recovery(NamedTuple):
    """One fault of one message: the step of the loop that it hit, what it did, what the service does about it.

    `is_over`: the service has survived it. `fault` and `number` tell it from the other faults of the verification.
    """

    step: str
    trouble: str
    answer: str
    is_over: bool
    fault: str
    number: int


def recoveries(
    messages: Iterable[Message], faults: Iterable[tuple[int, SimulatedFault]], ledger: Ledger, action: str = "code"
) -> list[Recovery]:
    """Describe the faults of these messages, oldest first; each fault comes with the number of its message."""
    by_number = {message["number"]: message for message in messages}
    typed = {number for number, message in by_number.items() if is_typed(message)}
    same: dict[tuple[int, str, str], list[SimulatedFault]] = {}
    for number, fault in faults:
        if fault.endpoint in GENERAL and _has_reached_the_service(fault):
            same.setdefault((number, fault.endpoint, fault.kind), []).append(fault)
    told = (_told(number, by_number.get(number), each, ledger, typed) for (number, _, _), each in same.items())
    words = words_of(action)
    return [each._replace(answer=each.answer.format(**words)) for each in told if each]


def _has_reached_the_service(fault: SimulatedFault) -> bool:
    return fault.is_answered or fault.endpoint == "callbacks"  # these are not the service's requests


def _told(
    number: int, message: Message | None, faults: list[SimulatedFault], ledger: Ledger, typed: set[int]
) -> Recovery | None:
    """Describe what happened to one message; `typed`: the messages that a person has used."""
    fault = faults[-1]
    story = story_of(fault)
    if message is not None and not story.has_shown(message):
        return None
    is_over = story.is_over(message or _GONE)
    answer = story.afterwards if is_over else story.meanwhile
    if not is_over and typed and story.by_other:
        is_over, answer = True, story.by_other
    trouble = story.trouble.format(
        kind=fault.kind.replace("_", " "),
        code=f" ({fault.code})" if fault.code else "",
        seconds=f"{fault.seconds:g}",
        times=f", {len(faults)} times" if len(faults) > 1 else "",
    )
    is_lost = fault.endpoint == "messages" and fault.kind in LOSES_SID
    if message and is_over and is_lost and not _was_called_back(message, ledger):
        answer = FOUND_SID
    return Recovery(story.step, trouble, answer, is_over, f"{fault.endpoint} {fault.kind}", number)


def _was_called_back(message: Message, ledger: Ledger) -> bool:
    return any(str(post.result).startswith("2") for post in ledger.callbacks(message["sid"]))
