"""What a language says: one text for each tracked action."""

from typing import NamedTuple


class Wording(NamedTuple):
    """The texts of one language."""

    code: str  # with {brand} and {code}
    password: str  # with {brand} and {password}
    link: str  # with {brand} and {link}; white space follows the link, or nothing
    reply: str  # with {brand} and {words}
    call: str  # with {brand}, {number} and {digits}
    payment: str  # with {amount} and {payee}: the line before a code or a password that approves a payment
    # With {code} alone, where the text of a code is outside the SMS alphabet: one segment of 70 characters has no room
    # for a long brand beside the line for the browser, which names the host, or beside the hash of the app, which reads
    # the message itself.
    brief_code: str = ""
    sources: str = ""  # the addresses of independent public texts that agree with these, separated by blanks

    @property
    def is_reviewed(self) -> bool:
        """Whether two independent public sources agree with these texts."""
        return len(self.sources.split()) >= 2  # noqa: PLR2004
