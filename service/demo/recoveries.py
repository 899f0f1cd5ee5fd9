"""What went wrong with the messages of a verification, and how the service survived it, in sentences for the demo.

The simulator says which faults it has simulated, and what was posted; the record says what the service knows. Each
sentence follows from both as they are now, so it stays on a page that is opened again, and none is there before what it
says has happened. A fault without a sentence of its own gets a general one.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from service.core.verification import Delivery, Feedback
from service.sandbox import Ledger, SimulatedFault

Message = Mapping[str, Any]  # one message of a verification, as `view` shows it
_NOT_DELIVERED = frozenset({Delivery.UNDELIVERED, Delivery.FAILED})
_FINAL = _NOT_DELIVERED | {Delivery.DELIVERED, Delivery.READ}


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


Test = Callable[[Message], bool]


def _has_sid(message: Message) -> bool:
    return bool(message["sid"])


def _has_result(message: Message) -> bool:
    """Return whether the service knows what came of the send; it may know that it cannot know."""
    return message["delivery"] is not None


def _is_final(message: Message) -> bool:
    return bool(message["delivery"] in _FINAL)


def _is_not_delivered(message: Message) -> bool:
    return bool(message["delivery"] in _NOT_DELIVERED)


def _has_arrived(message: Message) -> bool:
    """Return whether the message has arrived, which the service may not have been told, or only by the code."""
    return bool(message["twilio"] and message["twilio"]["status"] in _FINAL) or _is_typed(message)


def _is_typed(message: Message) -> bool:
    return bool(message["feedback"]) and message["feedback"] != Feedback.NONE


def _is_confirmed(message: Message) -> bool:
    return bool(message["feedback"] == Feedback.CONFIRMED)


def _always(_: Message) -> bool:
    return True


def _never(_: Message) -> bool:
    return False


class _Story(NamedTuple):
    step: str
    trouble: str
    meanwhile: str  # what the service does until the fault is over
    afterwards: str
    is_over: Test
    has_shown: Test = _has_result  # before that, the service has not met the fault
    by_other: str = ""  # what there is to say, if it differs, once the code of another message was typed


_LOST_SID = _Story(
    "sid",
    "Twilio sent the message, but its answer with the message's SID was lost.",
    "The service waits for the status callback, and sends nothing twice.",
    "The status callback brought the SID.",
    _has_sid,
)
_LOSES_SID = frozenset({"lost_response", "garbage"})
_FOUND_SID = "The service found the SID in Twilio's list of messages."
_NO_ANSWER = _Story(
    "sent",
    "Twilio did not accept the message, or did not say so ({kind}).",
    "Perhaps it was sent all the same, so the service sends nothing twice. You can ask for a new code.",
    "Its status callback or its code showed that it was sent all the same.",
    lambda message: _has_sid(message) or _is_typed(message),
    by_other="Nothing was sent twice by itself. The code of another message was typed.",
)
_REFUSED = _Story(
    "sent",
    "Twilio refused the message{code}.",
    "The login page says why. Nothing is repeated.",
    "The login page says why. Nothing is repeated.",
    _never,
)
_REFUSALS = frozenset({"refuse", "unauthorized", "forbidden", "not_found"})
_UNUSUAL_REPORTS = _Story(
    "delivered",
    "Twilio's status callbacks came {kind}.",
    "The service sorts them out.",
    "The service kept the newest status.",
    _is_final,
    _is_final,
)
_REPORT_REFUSED = _Story(
    "confirmed",
    "Twilio refused the report ({kind}{times}).",
    "The service keeps it and will try again.",
    "The service kept it and tried again until Twilio took it.",
    _is_confirmed,
    _always,
)
_REPORT_UNANSWERED = _Story(
    "confirmed",
    "Twilio's answer to the report was lost.",
    "The service will send the report again: a second one changes nothing.",
    "The service sent the report again: a second one changes nothing.",
    _is_confirmed,
    _always,
)
_STORIES: dict[tuple[str, str], _Story] = {
    ("messages", "lost_response"): _LOST_SID,
    ("messages", "garbage"): _LOST_SID._replace(trouble="Twilio sent the message, but its answer was illegible."),
    ("messages", "slow"): _Story(
        "sid",
        "Twilio took {seconds} s to answer.",
        "The service waited. Meanwhile, codes were checked as fast as ever.",
        "The service waited. Meanwhile, codes were checked as fast as ever.",
        _has_sid,
        _has_sid,
    ),
    ("messages", "429"): _Story(
        "sent",
        "Twilio was busy (429), so nothing was sent.",
        "The service tries again after the pause that Twilio named, if it is short.",
        "The service tried again after the pause that Twilio named.",
        _has_sid,
        _always,
    ),
    ("messages", "hang"): _NO_ANSWER._replace(trouble="Twilio gave no answer at all."),
    ("callbacks", "fail"): _Story(
        "delivered",
        "The message could not be delivered{code}.",
        "The service sends nothing by itself. You can ask for a new code.",
        "Its code was typed all the same, so it had arrived, and Twilio is told.",
        _is_typed,
        _is_not_delivered,
        "The code of another message was typed.",
    ),
    ("callbacks", "late"): _Story(
        "delivered",
        "Twilio's status callbacks are {seconds} s late.",
        "The code works meanwhile.",
        "The code worked meanwhile.",
        _is_final,
        _has_arrived,
    ),
    ("callbacks", "drop"): _Story(
        "delivered",
        "Twilio's status callbacks were lost.",
        "The code works all the same.",
        "The typed code shows that the message arrived.",
        _is_typed,
        _has_arrived,
    ),
    ("callbacks", "double"): _UNUSUAL_REPORTS._replace(trouble="Twilio's status callbacks came twice."),
    ("callbacks", "out_of_order"): _UNUSUAL_REPORTS._replace(
        trouble="Twilio's status callbacks came in the wrong order."
    ),
    ("callbacks", "before"): _UNUSUAL_REPORTS._replace(trouble="A status callback came before Twilio's answer."),
    ("feedback", "lost_response"): _REPORT_UNANSWERED,
    ("feedback", "garbage"): _REPORT_UNANSWERED._replace(trouble="Twilio's answer to the report was illegible."),
    ("feedback", "hang"): _REPORT_UNANSWERED._replace(
        trouble="Twilio gave no answer to the report.", has_shown=_is_confirmed
    ),
    ("feedback", "reset"): _REPORT_UNANSWERED._replace(trouble="The connection broke while Twilio was told."),
    ("feedback", "slow"): _Story(
        "confirmed",
        "Twilio took {seconds} s to take the report.",
        "The service waited in the background: the sign-in did not.",
        "The service waited in the background: the sign-in did not.",
        _is_confirmed,
        _is_confirmed,
    ),
}
# A message that is no longer in the record: Twilio was busy, or Redis has deleted the record.
_GONE = {"sid": None, "delivery": None, "feedback": None, "twilio": None}
_GENERAL = {"messages": _NO_ANSWER, "callbacks": _UNUSUAL_REPORTS, "feedback": _REPORT_REFUSED}


def recoveries(
    messages: Iterable[Message], faults: Iterable[tuple[int, SimulatedFault]], ledger: Ledger
) -> list[Recovery]:
    """Describe the faults of these messages, oldest first; each fault comes with the number of its message."""
    by_number = {message["number"]: message for message in messages}
    typed = {number for number, message in by_number.items() if _is_typed(message)}
    same: dict[tuple[int, str, str], list[SimulatedFault]] = {}
    for number, fault in faults:
        if fault.endpoint in _GENERAL:
            same.setdefault((number, fault.endpoint, fault.kind), []).append(fault)
    told = (_told(number, by_number.get(number), each, ledger, typed) for (number, _, _), each in same.items())
    return [recovery for recovery in told if recovery]


def _told(
    number: int, message: Message | None, faults: list[SimulatedFault], ledger: Ledger, typed: set[int]
) -> Recovery | None:
    """Describe what happened to one message; `typed`: the messages whose codes were typed."""
    fault = faults[-1]
    story = _story(fault)
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
    is_lost = fault.endpoint == "messages" and fault.kind in _LOSES_SID
    if message and is_over and is_lost and not _was_called_back(message, ledger):
        answer = _FOUND_SID
    return Recovery(story.step, trouble, answer, is_over, f"{fault.endpoint} {fault.kind}", number)


def _story(fault: SimulatedFault) -> _Story:
    if fault.endpoint == "messages" and fault.kind in _REFUSALS:
        return _REFUSED
    return _STORIES.get((fault.endpoint, fault.kind), _GENERAL[fault.endpoint])


def _was_called_back(message: Message, ledger: Ledger) -> bool:
    return any(str(post.result).startswith("2") for post in ledger.callbacks(message["sid"]))
