"""Plain text: reads a line that a caller wrote for people, such as `origin_text`.

The line stands on a page that people are to trust, and its words may come from a stranger's browser. So it has no
markup, nothing that looks like an address, and nothing that cannot be seen or that changes the order of the text.

Characters that look like others are read as those: the full-width and the ideographic full stop are full stops, as
browsers read them in a host. What languages need is accepted: the marks LRM, RLM and ALM of texts that run
from right to left, and the joiners of Persian, of Indian scripts and of emoji.
"""

import re
import unicodedata

_MARKS_OF_DIRECTION = frozenset("\u200e\u200f\u061c")
_JOINERS = frozenset("\u200c\u200d\ufe0f")  # the last one makes ❤ an emoji
_BLANKS = frozenset(" \u00a0\u202f\u3000")  # the no-break ones of French, and the ideographic one
# Control, format, private, surrogate and unassigned characters, and separators of lines, paragraphs and words.
_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp", "Zs"})
_PICTOGRAPHS = range(0x1F000, 0x1FB00)  # each year has new emoji, which this Python may not know yet
# Letters, marks and symbols that are drawn as nothing: fillers, the grapheme joiner, blank Braille and music.
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\U0001d159") | {
    chr(number)
    for numbers in (range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))  # variation selectors
    for number in numbers
}
# Beside what the compatibility forms of Unicode (NFKC) become. NFKC makes full stops of an ellipsis, so it goes first.
_ALIKE = str.maketrans(
    dict.fromkeys("\u3002\uff61\u06d4\u0701\u0702\u2e3c\ua4f8\ua60e\U00010a50\U0001d16d", ".")
    | dict.fromkeys("\u2044\u2215\u2571\u27cb\u29f8", "/")
    | dict.fromkeys("\u2216\u27cd\u29f5\u29f9", "\\")
    | dict.fromkeys("\u2025\u2026\ufe19\ufe30")
)
_MARKUP = frozenset("<>@/\\")
_AN_ADDRESS = re.compile(r"\.(?! |\Z)")


def read_plain_text(text: str) -> str:
    """Return a text that people may be shown. Raises `ValueError` with the reason, in a sentence for the caller."""
    if not text.strip():
        raise ValueError("This text has blanks only.")
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in text):
        raise ValueError("This text has a line break or another control character. Write one line.")
    if any(_is_unseen(character, before) for before, character in zip(" " + text, text, strict=False)):
        raise ValueError("This text has a character that cannot be seen. Leave it out.")
    plain = unicodedata.normalize("NFKC", text.translate(_ALIKE))
    if not _MARKUP.isdisjoint(plain):
        raise ValueError(r"This text has one of < > @ / \ or a character that looks like one. Leave it out.")
    if _AN_ADDRESS.search(plain):
        raise ValueError("This text looks like an address. Write a blank after each full stop.")
    return text


def _is_unseen(character: str, before: str) -> bool:
    if character in _JOINERS:
        return before.isascii()  # it joins nothing
    if character in _BLANKS or character in _MARKS_OF_DIRECTION or ord(character) in _PICTOGRAPHS:
        return False
    return character in _UNSEEN or unicodedata.category(character) in _UNSEEN_CATEGORIES
