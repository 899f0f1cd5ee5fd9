# ruff: noqa: RUF001 - characters that look like others are what is tested
"""The promises of `service.core.plain_text`: what people are shown has no address, no markup and nothing unseen."""

import re
import sys
import unicodedata

import pytest

from service.api.v1.fields import _AMOUNT, _PAYEE, _PLAIN_TEXT
from service.core.payment import read_amount, read_payee
from service.core.plain_text import read_plain_text

UNSEEN = "cannot be seen"
ADDRESS = "looks like an address"
MARKUP = "< > @ /"


@pytest.mark.parametrize(
    "text",
    [
        "Chrome on Windows, near Berlin",
        "the till. Shop 3.",
        "Anna’s iPhone ❤️ 📱",
        "👩‍💻 in Köln…soon",
        "½ of “it” – 50 %",
        "كروم على ويندوز، \u200fالرياض\u200e (SA)",
        "کروم روی می\u200cخواهم",
        "दिल्ली क्\u200dष",
        "東京\u3000千代田区。 Safari。",
        "Paris\u00a0: Safari\u202f!",
        "⚠\ufe0f",
    ],
)
def test_what_languages_need_is_accepted(text):
    """Texts of all directions and scripts, with their marks, joiners, blanks and emoji, are returned as they are."""
    assert read_plain_text(text) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "blanks only"),
        (" \u3000", "blanks only"),
        ("a\nb", "line break"),
        ("a\u2028b", "line break"),
        ("a\u0085b", "line break"),
        *((f"a{unseen}b", UNSEEN) for unseen in "\u00ad\u200b\u2060\ufeff\u202a\u202e\u2066\u2069\ue000\U000f0000"),
        *((f"a{unseen}b", UNSEEN) for unseen in "\u3164\u115f\uffa0\u2800\u034f\ufe00\U000e0101\u180e\U000e0041"),
        *((f"a{unseen}b", UNSEEN) for unseen in "\u200c\u200d\ufe0f\u2003\u200a\u1680\ufff9\uffff\u0378"),
        ("\u200d", UNSEEN),
        *((f"evil{dot}example", ADDRESS) for dot in ".．。｡․﹒\u06d4\u0701\ua4f8\U00010a50"),
        ("192。0。2。1", ADDRESS),
        ("go to ⒈com", ADDRESS),
        ("例え。テスト", ADDRESS),
        (".", None),
        ("..", ADDRESS),
        *((f"a{slash}b", MARKUP) for slash in "/／⁄∕\\＼∖﹨<＜>﹥@＠"),
        ("℅", MARKUP),
    ],
)
def test_the_reason_is_named(text, reason):
    """What looks like an address or markup, or cannot be seen, is refused; the sentence says which it is."""
    if reason is None:
        assert read_plain_text(text) == text
        return
    with pytest.raises(ValueError, match=re.escape(reason)) as refused:
        read_plain_text(text)
    assert not text.strip() or len(text) == 1 or text not in str(refused.value)


def test_no_character_of_another_category_passes():
    """Of all of Unicode no control, format, private, surrogate or separating character passes between two letters."""
    needed = set(" \u00a0\u202f\u3000\u200e\u200f\u061c")
    passed = set()
    for number in range(sys.maxunicode + 1):
        character = chr(number)
        if unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Zs"):
            try:
                passed.add(read_plain_text(f"a{character}b"))
            except ValueError:
                continue
    assert passed == {f"a{character}b" for character in needed}


@pytest.mark.parametrize(
    ("pattern", "read"), [(_PLAIN_TEXT, read_plain_text), (_AMOUNT, read_amount), (_PAYEE, read_payee)]
)
def test_the_document_has_the_same_rule_for_ascii(pattern, read):
    """ASCII and control characters are accepted exactly if the document's pattern matches, which is never stricter."""
    controls = [*map(chr, range(0x80, 0xA0)), "\u2028", "\u2029"]
    for first in map(chr, range(128)):
        for second in [*map(chr, range(128)), *controls, "é", "\u3000", "\u200f"]:
            for text in (first + second, f"x{first}{second}x", f"1{first}{second}2"):
                try:
                    is_read = bool(read(text))
                except ValueError:
                    is_read = False
                is_documented = re.search(pattern, text) is not None and not text.endswith("\n")
                assert is_documented == is_read or (is_documented and second in "é\u3000\u200f"), ascii(text)
