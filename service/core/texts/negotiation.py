"""Negotiation: which of our languages is meant by a language tag (BCP 47), such as `de-AT` or `zh-Hant-HK`.

A tag loses its last part until it names a language that we have (the lookup of RFC 4647). A table says what is meant
where that alone would choose badly. Case does not matter, and `_` is read as `-`, as many frameworks write it.
"""

from collections.abc import Iterable
from types import MappingProxyType

LONGEST_TAG = 64
# The form of RFC 5646, without its lists of languages: a new one is no error.
TAG_PATTERN = r"^[A-Za-z]{1,8}(?:[_-][A-Za-z0-9]{1,8})*$"
_MEANT = MappingProxyType(
    {
        "pt": "pt-br", "sr": "sr-latn",
        **dict.fromkeys(map("pt-{}".format, ("ao", "cv", "gw", "mo", "mz", "st", "tl")), "pt-pt"),
        **dict.fromkeys(("zh", "zh-cn", "zh-sg", "zh-my", "cmn", "cmn-hans"), "zh-hans"),
        **dict.fromkeys(("zh-tw", "zh-hk", "zh-mo", "zh-yue", "yue", "cmn-hant"), "zh-hant"),
        **dict.fromkeys(("no", "nn"), "nb"),  # who reads the one reads the other
        "tl": "fil", "iw": "he", "in": "id", "mo": "ro", "sh": "sr-latn", "cnr": "sr-latn", "bs": "hr",
    }
)  # fmt: skip


def negotiated(tag: str, locales: Iterable[str]) -> str | None:
    """Return the one of these locales that a tag means; None if there is none."""
    known = {locale.lower(): locale for locale in locales}
    parts = tag.replace("_", "-").lower().split("-")
    for length in range(len(parts), 0, -1):
        prefix = "-".join(parts[:length])
        found = known.get(prefix) or known.get(_MEANT.get(prefix, ""))
        if found is not None:
            return found
    return None
