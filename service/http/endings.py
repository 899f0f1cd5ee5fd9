"""The details of `not_pending`: how a verification ended, in the words of its action."""

from collections.abc import Mapping

from service.core.actions import Action
from service.core.verification import Status, VerificationRequest

# What was too old, and what was wrong too often.
_OF_ACTION: Mapping[Action, tuple[str, str]] = {
    Action.CODE: ("The code is too old.", "Too many wrong codes."),
    Action.PASSWORD: ("The password is too old.", "Too many wrong passwords."),
    Action.LINK: ("The link is too old.", "Too many wrong tries."),
    Action.REPLY: ("The message is too old.", "Too many wrong tries."),
    Action.CALL: ("The message is too old.", "Too many wrong tries."),
}


def ending(status: Status, request: VerificationRequest) -> str | None:
    """Say how a verification ended, in sentences that a form may show; None while it is pending."""
    return ENDINGS.get(request.action, {}).get(status)


def _endings(too_old: str, wrong_too_often: str) -> Mapping[Status, str]:
    return {
        Status.APPROVED: "This number is already verified.",
        Status.EXPIRED: f"{too_old} Start again.",
        Status.MAX_ATTEMPTS_REACHED: f"{wrong_too_often} Start again.",
        Status.CANCELED: "This verification was canceled. Start again.",
        Status.FAILED: "We could not send the message. Start again.",
    }


ENDINGS: Mapping[Action, Mapping[Status, str]] = {action: _endings(*words) for action, words in _OF_ACTION.items()}
EVERY_ENDING = tuple(dict.fromkeys(detail for endings in ENDINGS.values() for detail in endings.values()))
