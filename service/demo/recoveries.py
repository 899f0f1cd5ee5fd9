"""What went wrong with the messages of a verification, and how the service survived it, in sentences for the demo.

The simulator says which faults it has simulated, and what was posted; the record says what the service knows. Each
sentence follows from both as they are now, so it stays on a page that is opened again. A fault without a sentence of
its own gets a general one.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from service.core.verification import Delivery, Feedback
from service.sandbox import Ledger, SimulatedFault

Message = Mapping[str, Any]  # one message of a verification, as `view` shows it
_FINAL = frozenset({Delivery.DELIVERED, Delivery.UNDELIVERED, Delivery.FAILED, Delivery.READ})


class Recovery(NamedTuple):
    """One fault: the step of the loop that it hit, what it did, what the service does about it, and if that is over."""

    step: str
    trouble: str
    answer: str
    is_over: bool


class _Story(NamedTuple):
    step: str
    trouble: str
    meanwhile: str  # what the service does until the fault is over
    afterwards: str
    is_over: Callable[[Message], bool]


def _has_sid(message: Message) -> bool:
    return bool(message["sid"])


def _is_final(message: Message) -> bool:
    return bool(message["delivery"] in _FINAL)


def _is_typed(message: Message) -> bool:
    return bool(message["feedback"]) and message["feedback"] != Feedback.NONE


def _is_confirmed(message: Message) -> bool:
    return bool(message["feedback"] == Feedback.CONFIRMED)


def _always(_: Message) -> bool:
    return True


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
    "A status callback brought the news that it was sent.",
    _has_sid,
)
_REFUSED = _Story(
    "sent",
    "Twilio refused the message{code}.",
    "The login page says why. Nothing is repeated.",
    "The login page says why. Nothing is repeated.",
    _always,
)
_REFUSALS = frozenset({"refuse", "unauthorized", "forbidden", "not_found"})
_UNUSUAL_REPORTS = _Story(
    "delivered",
    "Twilio's status callbacks came {kind}.",
    "The service sorts them out.",
    "The service kept the newest status.",
    _is_final,
)
_REPORT_REFUSED = _Story(
    "confirmed",
    "Twilio refused the report ({kind}{times}).",
    "The service keeps it and tries again.",
    "The service kept it and tried again until Twilio took it.",
    _is_confirmed,
)
_REPORT_UNANSWERED = _Story(
    "confirmed",
    "Twilio's answer to the report was lost.",
    "The service sends the report again: a second one changes nothing.",
    "The service sent the report again: a second one changes nothing.",
    _is_confirmed,
)
_STORIES: dict[tuple[str, str], _Story] = {
    ("messages", "lost_response"): _LOST_SID,
    ("messages", "garbage"): _LOST_SID._replace(trouble="Twilio sent the message, but its answer was illegible."),
    ("messages", "slow"): _Story(
        "sid",
        "Twilio took {seconds} s to answer.",
        "The service waits; a code that is typed meanwhile is checked at once.",
        "The service waited. Meanwhile, codes were checked as fast as ever.",
        _has_sid,
    ),
    ("messages", "429"): _Story(
        "sent",
        "Twilio was busy (429), so nothing was sent.",
        "The service tries again after the pause that Twilio named.",
        "The service tried again after the pause that Twilio named.",
        _has_sid,
    ),
    ("messages", "hang"): _NO_ANSWER._replace(trouble="Twilio gave no answer at all."),
    ("callbacks", "fail"): _Story(
        "delivered",
        "The message could not be delivered{code}.",
        "The login page says so, and offers a new code.",
        "The login page says so, and offers a new code.",
        _always,
    ),
    ("callbacks", "late"): _Story(
        "delivered",
        "Twilio's status callbacks are {seconds} s late.",
        "The code works meanwhile.",
        "The code worked meanwhile.",
        _is_final,
    ),
    ("callbacks", "drop"): _Story(
        "delivered",
        "Twilio's status callbacks were lost.",
        "The code works all the same.",
        "The typed code shows that the message arrived.",
        _is_typed,
    ),
    ("callbacks", "double"): _UNUSUAL_REPORTS._replace(trouble="Twilio's status callbacks came twice."),
    ("callbacks", "out_of_order"): _UNUSUAL_REPORTS._replace(
        trouble="Twilio's status callbacks came in the wrong order."
    ),
    ("callbacks", "before"): _UNUSUAL_REPORTS._replace(trouble="A status callback came before Twilio's answer."),
    ("feedback", "lost_response"): _REPORT_UNANSWERED,
    ("feedback", "garbage"): _REPORT_UNANSWERED._replace(trouble="Twilio's answer to the report was illegible."),
    ("feedback", "hang"): _REPORT_UNANSWERED._replace(trouble="Twilio gave no answer to the report."),
    ("feedback", "reset"): _REPORT_UNANSWERED._replace(trouble="The connection broke while Twilio was told."),
    ("feedback", "slow"): _Story(
        "confirmed",
        "Twilio took {seconds} s to take the report.",
        "The service waits, in the background.",
        "The service waited in the background: the sign-in did not.",
        _is_confirmed,
    ),
}
_GENERAL = {"messages": _NO_ANSWER, "callbacks": _UNUSUAL_REPORTS, "feedback": _REPORT_REFUSED}


def recoveries(
    messages: Iterable[Message], faults: Iterable[tuple[int, SimulatedFault]], ledger: Ledger
) -> list[Recovery]:
    """Describe the faults of these messages, oldest first; each fault comes with the number of its message."""
    by_number = {message["number"]: message for message in messages}
    gone = {"sid": None, "delivery": None, "feedback": None}  # a message that was refused leaves the record
    told: dict[tuple[int, str, str], list[SimulatedFault]] = {}
    for number, fault in faults:
        if fault.endpoint in _GENERAL:
            told.setdefault((number, fault.endpoint, fault.kind), []).append(fault)
    return [_told(by_number.get(number, gone), same, ledger) for (number, _, _), same in told.items()]


def _told(message: Message, faults: list[SimulatedFault], ledger: Ledger) -> Recovery:
    fault = faults[-1]
    story = _story(fault)
    is_over = story.is_over(message)
    trouble = story.trouble.format(
        kind=fault.kind.replace("_", " "),
        code=f" ({fault.code})" if fault.code else "",
        seconds=f"{fault.seconds:g}",
        times=f", {len(faults)} times" if len(faults) > 1 else "",
    )
    answer = story.afterwards if is_over else story.meanwhile
    if is_over and fault.endpoint == "messages" and fault.kind in _LOSES_SID and not _was_called_back(message, ledger):
        answer = _FOUND_SID
    return Recovery(story.step, trouble, answer, is_over)


def _story(fault: SimulatedFault) -> _Story:
    if fault.endpoint == "messages" and fault.kind in _REFUSALS:
        return _REFUSED
    return _STORIES.get((fault.endpoint, fault.kind), _GENERAL[fault.endpoint])


def _was_called_back(message: Message, ledger: Ledger) -> bool:
    return any(str(post.result).startswith("2") for post in ledger.callbacks(message["sid"]))
