"""The promises of `service.core.texts.negotiation`: a tag leads to the nearest language, or to none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.texts.negotiation import negotiated

LOCALES = ("en", "de", "fil", "he", "id", "nb", "pt-BR", "pt-PT", "ro", "sr-Latn", "hr", "zh-Hans", "zh-Hant")


@pytest.mark.parametrize(
    ("tag", "locale"),
    [
        ("de", "de"), ("de-AT", "de"), ("DE_at", "de"), ("de-Latn-AT-1996-x-bank", "de"), ("en-US-u-hc-h12", "en"),
        ("pt", "pt-BR"), ("pt-BR", "pt-BR"), ("pt-br", "pt-BR"), ("pt-PT", "pt-PT"),
        ("pt-AO", "pt-PT"), ("pt-US", "pt-BR"),
        ("zh", "zh-Hans"), ("zh-CN", "zh-Hans"), ("zh-SG", "zh-Hans"), ("zh-Hans-HK", "zh-Hans"), ("cmn", "zh-Hans"),
        ("zh-Hant", "zh-Hant"), ("zh_TW", "zh-Hant"), ("zh-HK", "zh-Hant"), ("zh-MO", "zh-Hant"),
        ("zh-Hant-CN", "zh-Hant"), ("yue-HK", "zh-Hant"),
        ("no", "nb"), ("nn-NO", "nb"), ("iw", "he"), ("in-ID", "id"), ("tl", "fil"), ("mo", "ro"),
        ("sh", "sr-Latn"), ("bs", "hr"), ("sr", "sr-Latn"), ("sr-Cyrl-BA", "sr-Latn"),
        ("fil-PH", "fil"), ("fi", None), ("tlh", None), ("und", None), ("x-de", None), ("d", None), ("", None),
    ],
)  # fmt: skip
def test_a_tag_means_the_nearest_language(tag: str, locale: str | None) -> None:
    """Regions, scripts and extensions are dropped one by one; old and wider codes mean the language of our list."""
    assert negotiated(tag, LOCALES) == locale


@given(st.sampled_from(LOCALES), st.from_regex(r"(?:[_-][a-z0-9]{1,8}){0,3}", fullmatch=True))
def test_a_tag_of_our_own_means_itself(locale: str, more: str) -> None:
    """Each of our locales means itself, in any case and whatever follows it."""
    assert negotiated(locale.swapcase() + more, LOCALES) == locale


@pytest.mark.parametrize("tag", ["bs", "pt", "zh-TW"])
def test_a_language_that_we_have_is_never_replaced(tag: str) -> None:
    """The table is for languages that we do not have: once there are texts in one, they are used."""
    assert negotiated(tag, (*LOCALES, tag)) == tag
