"""Tracked actions: what a person does that proves receipt. One module each; `TrackedAction` says what it holds.

A new action is a module, a member of `Action`, a line in `ACTIONS`, and its wording in each language of `core.texts`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from service.core.actions import call, code, link, password, reply
from service.core.keyring import Keyring


class Action(StrEnum):
    """The tracked action: what the person does that proves receipt."""

    CODE = "code"
    PASSWORD = "password"  # noqa: S105 - a word
    LINK = "link"
    REPLY = "reply"
    CALL = "call"


class TrackedAction(Protocol):
    """What an action's module says. A check is approved by the digest of what `read` returns, and by nothing else."""

    LONGEST_TTL_SECONDS: int

    def draw(self, length: int, partition: str, match: str | None, /) -> str:
        """Draw the secret of one send of a verification in this partition; `length` where the action has lengths.

        The secret does not hold the match.
        """

    def match(self, keyring: Keyring, verification_id: str, /) -> str | None:
        """Derive what the page which started shows, and the person repeats beside the secret; None: nothing."""

    def digests(self, keyring: Keyring, verification_id: str, secret: str, /) -> tuple[bytes, ...]:
        """Digest a secret, newest key first; the first digest is stored."""

    def shown(self, secret: str, address: str | None, /) -> str:
        """Write a secret as the message shows it. `address` is where the answer goes: a web address, or a number."""

    def text(self, shown: str, *, brand: str, locale: str, web_origin: str | None, app_hash: str | None) -> str:
        """Write the message that carries a secret. Raises `ValueError` if it does not fit."""

    def read(self, typed: str, /) -> str:
        """Read the secret out of what a person gave. Raises `ValueError` with a sentence for that person."""

    def found_in(self, text: str, /) -> Iterable[str]:
        """Find what may be a secret of this action in a message that we have sent."""


ACTIONS: Mapping[Action, TrackedAction] = {
    Action.CODE: code,
    Action.PASSWORD: password,
    Action.LINK: link,
    Action.REPLY: reply,
    Action.CALL: call,
}


@dataclass(frozen=True, slots=True)
class Secrets:
    """Knows the test numbers, each of which always has the same secret.

    Nothing is sent to a test number, and its secret approves that number alone. Limits, attempts, expiry and single use
    are as for any other. Its password is its code, repeated. There are only codes and passwords for it:
    nobody would receive anything else.
    """

    fixed: Mapping[str, str] = field(default_factory=dict, repr=False)  # codes by test number

    def fixed_for(self, number: str, action: Action = Action.CODE, length: int | None = None) -> str | None:
        """Give the secret of a test number; None if the number is none."""
        fixed = self.fixed.get(number)
        if fixed is not None and action is Action.PASSWORD:
            return password.repeated(fixed, length or password.DEFAULT_LENGTH)
        return fixed
