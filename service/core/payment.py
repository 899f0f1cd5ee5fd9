"""Payments: the amount and the payee that a code or a password approves (Regulation (EU) 2018/389, Article 5).

The message shows both, and a check must repeat them: what is digested is the secret together with its payment, so the
secret is valid for that payment alone. Of a payment the store has a tag, which tells a wrong payment from a wrong code,
and an encrypted copy, because the message of a resend shows it too.
"""

import re
import unicodedata
from typing import NamedTuple

from service.core.actions import Action
from service.core.plain_text import read_plain_text

ACTIONS_WITH_PAYMENT = (Action.CODE, Action.PASSWORD)  # a link, a reply or a call is answered without the caller
LONGEST_AMOUNT = 20
LONGEST_PAYEE = 30
_NO_ADDRESS = re.compile(r"\.(?=[\d-])")  # 1.250,00
_NO_PATH = re.compile(r"/(?=\w)")  # A/S


class Payment(NamedTuple):
    """What is paid, and to whom. Neither has a line break."""

    amount: str
    payee: str

    @classmethod
    def of(cls, amount: str | None, payee: str | None) -> "Payment | None":
        """Make the payment that a caller gives; None if it gives none."""
        return None if amount is None and payee is None else cls(amount or "", payee or "")

    @classmethod
    def read(cls, content: bytes) -> "Payment":
        """Read what `content` wrote."""
        return cls(*content.decode().split("\n"))

    @property
    def content(self) -> bytes:
        """Write both, for a tag or to be encrypted."""
        return "\n".join(self).encode()


def bound(secret: str, payment: Payment | None) -> str:
    """Join a secret and its payment to what is digested."""
    return secret if payment is None else "\n".join((secret, *payment))


def read_amount(text: str) -> str:
    """Return an amount in one spelling. Raises `ValueError` with a sentence for the caller."""
    if not any(map(str.isdecimal, text)):
        raise ValueError("An amount has a digit. Write one such as 12.50 EUR.")
    read_plain_text(_NO_ADDRESS.sub("", text))
    return _one_spelling(text)


def read_payee(text: str) -> str:
    """Return a payee in one spelling. Raises `ValueError` with a sentence for the caller."""
    read_plain_text(_NO_PATH.sub("", text))
    return _one_spelling(text)


def _one_spelling(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip())
