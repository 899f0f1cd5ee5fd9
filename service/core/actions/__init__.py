"""Tracked actions: what a person does that proves receipt. One module each; `TrackedAction` says what it holds.

A new action is a module, a member of `Action`, a line in `ACTIONS`, and its wording in each language of `core.texts`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from service.core.actions import code


class Action(StrEnum):
    """The tracked action: what the person does that proves receipt."""

    CODE = "code"


class TrackedAction(Protocol):
    """What an action's module says. A check is approved by the digest of what `read` returns, and by nothing else."""

    def draw(self, length: int, /) -> str:
        """Draw the secret of one send, of this length where the action has lengths."""

    def text(self, secret: str, /, *, brand: str, locale: str, web_origin: str | None, app_hash: str | None) -> str:
        """Write the message that carries a secret. Raises `ValueError` if it does not fit."""

    def read(self, typed: str, /) -> str:
        """Read the secret out of what a person gave. Raises `ValueError` with a sentence for that person."""


ACTIONS: Mapping[Action, TrackedAction] = {Action.CODE: code}


@dataclass(frozen=True, slots=True)
class Secrets:
    """Knows the test numbers, each of which always has the same secret.

    Nothing is sent to a test number, and its secret approves that number alone. Limits, attempts, expiry and single use
    are as for any other.
    """

    fixed: Mapping[str, str] = field(default_factory=dict, repr=False)  # by test number

    def fixed_for(self, number: str) -> str | None:
        """Give the secret of a test number; None if the number is none."""
        return self.fixed.get(number)
