"""What each word of an answer means, for the OpenAPI page: one sentence for each value of each enum."""

from collections.abc import Mapping
from enum import StrEnum

from service.core.actions import Action
from service.core.channels import Channel
from service.core.verification import Delivery, Feedback, Status, Verdict

MEANINGS: Mapping[type[StrEnum], Mapping[StrEnum, str]] = {
    Channel: {Channel.SMS: "a text message"},
    Action: {Action.CODE: "types the code"},
    Status: {
        Status.PENDING: "waits for the right code",
        Status.APPROVED: "the right code was typed in time; this state never changes again",
        Status.EXPIRED: "the newest code's life is over",
        Status.CANCELED: "was ended with `cancel`",
        Status.MAX_ATTEMPTS_REACHED: "has had all its checks",
        Status.FAILED: "its message was not sent: Twilio refused it or could not be reached",
    },
    Verdict: {
        Verdict.APPROVED: "is right, for the first time",
        Verdict.WRONG_CODE: "belongs to no send of this verification",
        Verdict.EXPIRED: "is right, but too late",
        Verdict.SUPERSEDED: "is right, but a newer one was sent and only the newest is accepted",
        Verdict.USED: "is right, but the verification has been approved before",
        Verdict.LOCKED: "was not compared: the attempts are used up, or the number had 100 failed checks in a row",
        Verdict.CANCELED: "is right, but the verification was canceled before",
        Verdict.MISMATCH: "was not compared: `to` or `purpose` is not the verification's",
    },
    Feedback: {
        Feedback.NONE: "nothing to tell: nobody has typed this message's code, or none was sent (test numbers)",
        Feedback.AWAITING_SID: "the code was typed; Twilio has not named the message yet",
        Feedback.PENDING: "the code was typed; Twilio will be told",
        Feedback.CONFIRMED: "Twilio has taken `Outcome=confirmed` for this message",
        Feedback.FAILED: "given up: Twilio does not take the report",
    },
    Delivery: {
        Delivery.UNKNOWN: "Twilio has not answered; the message may have gone out (to a test number none has)",
        Delivery.QUEUED: "Twilio has it",
        Delivery.SENT: "the carrier has it",
        Delivery.DELIVERED: "the carrier says that the phone has it",
        Delivery.UNDELIVERED: "the carrier did not deliver it; `error_code` says why",
        Delivery.FAILED: "was not sent; `error_code` says why",
        Delivery.CANCELED: "Twilio canceled it",
        Delivery.READ: "was read",
    },
}


def explained(words: type[StrEnum]) -> str:
    """Write the meanings of an enum as a Markdown list, below the sentence that says what the enum is."""
    lines = [f"- `{word}`: {meaning}" for word, meaning in MEANINGS[words].items()]
    return "\n".join([f"{(words.__doc__ or '').strip()}\n", *lines])
