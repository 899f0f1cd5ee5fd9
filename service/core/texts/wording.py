"""What a language says: one text for each tracked action."""

from typing import NamedTuple


class Wording(NamedTuple):
    """The texts of one language."""

    code: str  # with {brand} and {code}
    password: str  # with {brand} and {password}
    link: str  # with {brand} and {link}; a blank follows the link, or nothing
