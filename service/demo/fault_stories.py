"""What each fault of the simulator does to a message, and what the service does about it, in sentences for the demo.

A fault without a sentence of its own gets a general one. `recoveries` puts the sentences together with what happened.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from service.core.actions import Action
from service.core.verification import Delivery, Feedback
from service.sandbox import SimulatedFault

Message = Mapping[str, Any]  # one message of a verification, as `view` shows it
_NOT_DELIVERED = frozenset({Delivery.UNDELIVERED, Delivery.FAILED})
_FINAL = _NOT_DELIVERED | {Delivery.DELIVERED, Delivery.READ}
Test = Callable[[Message], bool]
_SECRET: Mapping[str, str] = {Action.REPLY: "pair of words", Action.CALL: "PIN"}
_USED: Mapping[str, str] = {Action.LINK: "answered", Action.REPLY: "sent back", Action.CALL: "keyed in"}


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
    """Return whether the message has arrived, which the service may not have been told, or only by its use."""
    return bool(message["twilio"] and message["twilio"]["status"] in _FINAL) or is_typed(message)


def is_typed(message: Message) -> bool:
    """Return whether the code or password of this message was typed, or its link answered."""
    return bool(message["feedback"]) and message["feedback"] != Feedback.NONE


def _is_confirmed(message: Message) -> bool:
    return bool(message["feedback"] == Feedback.CONFIRMED)


def _always(_: Message) -> bool:
    return True


def _never(_: Message) -> bool:
    return False


class Story(NamedTuple):
    """The sentences for one kind of fault, and when each is true; {secret} and {used} are the words of the action."""

    step: str
    trouble: str
    meanwhile: str  # what the service does until the fault is over
    afterwards: str
    is_over: Test
    has_shown: Test = _has_result  # before that, the service has not noticed the fault
    by_other: str = ""  # what there is to say, if it differs, once another message was used


_LOST_SID = Story(
    "sid",
    "Twilio sent the message, but its answer with the message's SID was lost.",
    "The service waits for the status callback, and sends nothing twice.",
    "The status callback brought the SID.",
    _has_sid,
)
LOSES_SID = frozenset({"lost_response", "garbage"})
FOUND_SID = "The service found the SID in Twilio's list of messages."
_NO_ANSWER = Story(
    "sent",
    "Twilio did not accept the message, or did not say so ({kind}).",
    "Perhaps it was sent all the same, so the service sends nothing twice. You can ask for a new {secret}.",
    "Its status callback or its {secret} showed that it was sent all the same.",
    lambda message: _has_sid(message) or is_typed(message),
    by_other="Nothing was sent twice by itself. The {secret} of another message was {used}.",
)
_REFUSED = Story(
    "sent",
    "Twilio refused the message{code}.",
    "Nothing is repeated. The next channel follows if the login asked for one; else its page says why.",
    "Nothing is repeated. The next channel follows if the login asked for one; else its page says why.",
    _never,
)
_REFUSALS = frozenset({"refuse", "unauthorized", "forbidden", "not_found"})
_UNUSUAL_REPORTS = Story(
    "delivered",
    "Twilio's status callbacks came {kind}.",
    "The service sorts them out.",
    "The service kept the newest status.",
    _is_final,
    _is_final,
)
_REPORT_REFUSED = Story(
    "confirmed",
    "Twilio refused the report ({kind}{times}).",
    "The service keeps it and will try again.",
    "The service kept it and tried again until Twilio took it.",
    _is_confirmed,
    _always,
)
_REPORT_UNANSWERED = Story(
    "confirmed",
    "Twilio's answer to the report was lost.",
    "The service will send the report again: a second one changes nothing.",
    "The service sent the report again: a second one changes nothing.",
    _is_confirmed,
    _always,
)
_STORIES: dict[tuple[str, str], Story] = {
    ("messages", "lost_response"): _LOST_SID,
    ("messages", "garbage"): _LOST_SID._replace(trouble="Twilio sent the message, but its answer was illegible."),
    ("messages", "slow"): Story(
        "sid",
        "Twilio took {seconds} s to answer.",
        "The service waited. Meanwhile, checks were as fast as ever.",
        "The service waited. Meanwhile, checks were as fast as ever.",
        _has_sid,
        _has_sid,
    ),
    ("messages", "429"): Story(
        "sent",
        "Twilio was busy (429), so nothing was sent.",
        "The service tries again after the pause that Twilio named, if it is short.",
        "The service tried again after the pause that Twilio named.",
        _has_sid,
        _always,
    ),
    ("messages", "hang"): _NO_ANSWER._replace(trouble="Twilio gave no answer at all."),
    ("callbacks", "fail"): Story(
        "delivered",
        "The message could not be delivered{code}.",
        "The next channel follows if the login asked for one; else you can ask for a new {secret}.",
        "Its {secret} was {used} all the same, so it had arrived, and Twilio is told.",
        is_typed,
        _is_not_delivered,
        "The {secret} of another message was {used}.",
    ),
    ("callbacks", "late"): Story(
        "delivered",
        "Twilio's status callbacks are {seconds} s late.",
        "The {secret} works meanwhile.",
        "The {secret} worked meanwhile.",
        _is_final,
        _has_arrived,
    ),
    ("callbacks", "drop"): Story(
        "delivered",
        "Twilio's status callbacks were lost.",
        "The {secret} works all the same.",
        "The {used} {secret} shows that the message arrived.",
        is_typed,
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
    ("feedback", "slow"): Story(
        "confirmed",
        "Twilio took {seconds} s to take the report.",
        "The service waited in the background: the sign-in did not.",
        "The service waited in the background: the sign-in did not.",
        _is_confirmed,
        _is_confirmed,
    ),
}
GENERAL = {"messages": _NO_ANSWER, "callbacks": _UNUSUAL_REPORTS, "feedback": _REPORT_REFUSED}


def story_of(fault: SimulatedFault) -> Story:
    """Find the sentences for a fault."""
    if fault.endpoint == "messages" and fault.kind in _REFUSALS:
        return _REFUSED
    return _STORIES.get((fault.endpoint, fault.kind), GENERAL[fault.endpoint])


def words_of(action: str) -> dict[str, str]:
    """Say what is sent and what a person does with it."""
    return {"secret": _SECRET.get(action, action), "used": _USED.get(action, "typed")}
