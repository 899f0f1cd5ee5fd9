"""What the page of a link says, for each language."""

from typing import NamedTuple


class Ending(NamedTuple):
    """What a page says when there is nothing more to do on it."""

    heading: str
    text: str


class Words(NamedTuple):
    """The words of one language, as plain text. What stands in braces is filled in."""

    language: str  # also the attribute `lang` of the page
    title: str  # of the window: it says nothing of what is confirmed
    question: str
    purpose: str  # headings of what was asked for, when and from where
    started: str
    origin: str
    just_now: str  # with {time}
    a_minute_ago: str  # with {time}
    minutes_ago: str  # with {minutes} and {time}
    label: str  # of the field for the two digits
    only_you: str
    confirm: str
    not_me: str
    malformed: str
    wrong_last: str
    wrong: str  # with {left}
    not_me_question: str
    not_me_text: str
    end_it: str
    back: str
    approved: Ending
    used: Ending
    expired: Ending
    superseded: Ending
    ended: Ending
    locked: Ending
    unknown: Ending
    declined: Ending
    not_declined: Ending
    declined_late: Ending
    go_back: str  # with {place}
    not_now: Ending  # it may work in a while
    failed: str
    try_again: str
    direction: str = "ltr"
