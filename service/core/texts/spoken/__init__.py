"""What is said on the phone: one module for each language that has a voice, listed here.

The provider lists no voice for the others (`WITHOUT_VOICE`), so on the phone they are English.
"""

from collections.abc import Mapping

from service.core.texts import LOCALES
from service.core.texts.spoken import (
    af,
    ar,
    bg,
    bn,
    ca,
    cs,
    da,
    de,
    el,
    en,
    es,
    eu,
    fi,
    fil,
    fr,
    he,
    hi,
    hu,
    id,
    it,
    ja,
    ko,
    lt,
    lv,
    ms,
    nb,
    nl,
    pl,
    pt_br,
    pt_pt,
    ro,
    ru,
    sk,
    sr_latn,
    sv,
    th,
    tr,
    uk,
    vi,
    zh_hans,
    zh_hant,
)
from service.core.texts.spoken.sentences import Spoken

SPOKEN: Mapping[str, Spoken] = {
    "af": af.SPOKEN,
    "ar": ar.SPOKEN,
    "bg": bg.SPOKEN,
    "bn": bn.SPOKEN,
    "ca": ca.SPOKEN,
    "cs": cs.SPOKEN,
    "da": da.SPOKEN,
    "de": de.SPOKEN,
    "el": el.SPOKEN,
    "en": en.SPOKEN,
    "es": es.SPOKEN,
    "eu": eu.SPOKEN,
    "fi": fi.SPOKEN,
    "fil": fil.SPOKEN,
    "fr": fr.SPOKEN,
    "he": he.SPOKEN,
    "hi": hi.SPOKEN,
    "hu": hu.SPOKEN,
    "id": id.SPOKEN,
    "it": it.SPOKEN,
    "ja": ja.SPOKEN,
    "ko": ko.SPOKEN,
    "lt": lt.SPOKEN,
    "lv": lv.SPOKEN,
    "ms": ms.SPOKEN,
    "nb": nb.SPOKEN,
    "nl": nl.SPOKEN,
    "pl": pl.SPOKEN,
    "pt-BR": pt_br.SPOKEN,
    "pt-PT": pt_pt.SPOKEN,
    "ro": ro.SPOKEN,
    "ru": ru.SPOKEN,
    "sk": sk.SPOKEN,
    "sr-Latn": sr_latn.SPOKEN,
    "sv": sv.SPOKEN,
    "th": th.SPOKEN,
    "tr": tr.SPOKEN,
    "uk": uk.SPOKEN,
    "vi": vi.SPOKEN,
    "zh-Hans": zh_hans.SPOKEN,
    "zh-Hant": zh_hant.SPOKEN,
}
WITHOUT_VOICE = tuple(locale for locale in LOCALES if locale not in SPOKEN)


def spoken(locale: str) -> Spoken:
    """Return the sentences of a language, or the English ones."""
    return SPOKEN.get(locale, en.SPOKEN)
