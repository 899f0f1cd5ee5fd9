"""What is said on the phone in one language: on a call that somebody makes to us, and on a call that we make."""

from typing import NamedTuple


class Spoken(NamedTuple):
    """The sentences of one language."""

    language: str  # as the provider names it
    # To a person who calls us:
    ask: str  # with {brand}
    again: str
    done: str
    used: str  # it was confirmed before
    failed: str  # another call may succeed
    ended: str
    nothing_keyed: str
    # To a person whom we call:
    press_any_key: str  # with {brand}
    code_is: str  # with {brand}; the digits follow
    once_more: str  # the digits follow again
    code_said: str
    # As the provider names it; empty: its default for the language. Only Amazon's voices are named, because their names
    # stay the same. Google's change, and a name that is gone would end the call.
    voice: str = ""
