"""The keywords by which a person stops and resumes messages, and who has stopped which sender.

https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out. A keyword counts only if it is the whole message; case
does not matter. The message reaches the webhook all the same. With Advanced Opt-Out, the webhook's `OptOutType` says
which kind of keyword it was; the words can then be changed in the Console, which is not simulated.
"""

from typing import Literal

Keyword = Literal["STOP", "START", "HELP"]

_WORDS: dict[Keyword, frozenset[str]] = {
    "STOP": frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"}),
    "START": frozenset({"START", "YES", "UNSTOP"}),
    "HELP": frozenset({"HELP", "INFO"}),
}
REPLIES: dict[Keyword, str] = {
    "STOP": "You have unsubscribed and get no more messages from this sender. Reply START to get them again.",
    "START": "You get messages from this sender again. Reply STOP to unsubscribe.",
    "HELP": "Reply STOP to unsubscribe.",
}


def keyword_in(body: str) -> Keyword | None:
    """Return the kind of keyword that the message is, None for any other message."""
    word = body.strip().upper()
    return next((kind for kind, words in _WORDS.items() if word in words), None)


class OptOuts:
    """The pairs of a person and a sender, which is a number or a Messaging Service, that the person has stopped."""

    def __init__(self) -> None:
        self._stopped: dict[tuple[str, str], None] = {}  # in order; a set would have none

    def note(self, keyword: Keyword | None, person: str, *senders: str | None) -> None:
        """Stop or resume these senders for a person: a number, and the service whose sender pool it is in."""
        for sender in filter(None, senders):
            if keyword == "STOP":
                self._stopped[person, sender] = None
            elif keyword == "START":
                self._stopped.pop((person, sender), None)

    def is_stopped(self, person: str, *senders: str | None) -> bool:
        """Whether the person has stopped one of these senders."""
        return any((person, sender) in self._stopped for sender in senders)

    def rows(self) -> list[dict[str, str]]:
        """Return every pair, oldest first."""
        return [{"person": person, "sender": sender} for person, sender in self._stopped]

    def forget(self) -> None:
        """Let every person get messages again."""
        self._stopped.clear()
