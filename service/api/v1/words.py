"""The meaning of each value of each enum in the responses, for OpenAPI."""

from collections.abc import Mapping
from enum import StrEnum

from service.core.actions import Action
from service.core.channels import Channel
from service.core.verification import Delivery, Feedback, Status, Verdict

MEANINGS: Mapping[type[StrEnum], Mapping[StrEnum, str]] = {
    Channel: {
        Channel.SMS: "a text message",
        Channel.WHATSAPP: "a WhatsApp message; it carries a code only",
        Channel.VOICE: "a call to the person, which says the code; it carries a code only",
    },
    Action: {
        Action.CODE: "types the code",
        Action.PASSWORD: "types the temporary password",
        Action.LINK: "opens the link, and types the `match` on its page",
        Action.REPLY: "replies to the message with its two words and the `match`",
        Action.CALL: "calls the number in the message, and keys in its six digits and the `match`",
    },
    Status: {
        Status.PENDING: "the right code has not been typed yet",
        Status.APPROVED: "the right code was typed in time; this state never changes again",
        Status.EXPIRED: "the newest code has expired",
        Status.CANCELED: "was ended with `cancel`",
        Status.MAX_ATTEMPTS_REACHED: "all attempts are used up",
        Status.FAILED: "its message was not sent: Twilio refused it or could not be reached",
    },
    Verdict: {
        Verdict.APPROVED: "the right code, for the first time",
        Verdict.WRONG_CODE: "not a code of this verification",
        Verdict.EXPIRED: "the right code, but too late",
        Verdict.SUPERSEDED: "the right code, but a newer one was sent and only the newest is accepted",
        Verdict.USED: "the right code, but the verification is already approved",
        Verdict.LOCKED: "not compared: the attempts are used up, or the number had 100 failed checks in a row",
        Verdict.CANCELED: "the right code, but the verification is canceled",
        Verdict.MISMATCH: "not compared: `to` or `purpose` is not the verification's",
    },
    Feedback: {
        Feedback.NONE: "nothing to report: this message's code was not typed, or no message was sent (test numbers)",
        Feedback.AWAITING_SID: "the code was typed; the Message SID is not known yet",
        Feedback.PENDING: "the code was typed; the confirmation is in the outbox",
        Feedback.CONFIRMED: "Twilio has accepted `Outcome=confirmed` for this message",
        Feedback.FAILED: "given up: Twilio does not accept the confirmation",
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
    """Write the meanings of an enum as a Markdown list, below its docstring."""
    lines = [f"- `{word}`: {meaning}" for word, meaning in MEANINGS[words].items()]
    return "\n".join([f"{(words.__doc__ or '').strip()}\n", *lines])
