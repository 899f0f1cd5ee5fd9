"""Texts of an operator's own, in place of ours: for a language, or for the numbers of a country.

A text for a country is sent exactly as written, with the secret put in: some carriers deliver only what was registered
to the character, as with India's DLT. So it gets no line for browsers and no app hash; who wants them registers them as
a part of it. A text for a language gets both, like our own.

A text is refused when the service starts, not when a person waits for the message: if it lacks the secret, has a
placeholder that nothing fills, or needs another segment than it asks for.
"""

import string
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from service.core.actions import ACTIONS, Action, code, password, reply
from service.core.phone import REGIONS
from service.core.texts import LOCALES
from service.core.texts.segments import measured

PLACEHOLDERS = MappingProxyType(
    {
        Action.CODE: ("code",),
        Action.PASSWORD: ("password",),
        Action.LINK: ("link",),
        Action.REPLY: ("words",),
        Action.CALL: ("number", "digits"),  # in the order in which the action shows them
    }
)
_USUAL_ORIGIN = "o" * 30  # the texts of ours are held to this length, too
_MOST_SEGMENTS = 10  # no message has more
_EXAMPLE_ADDRESS = "https://otp.example.com"
_LONGEST_NUMBER = "+" + "9" * 15


def longest_secret(action: Action) -> str:
    """Return a secret that is as long as any of this action."""
    if action is Action.REPLY:
        return reply.LONGEST
    return ACTIONS[action].draw(
        {Action.CODE: code.LONGEST, Action.PASSWORD: password.LONGEST}.get(action, 0), "0", None
    )


class Place(NamedTuple):
    """Which messages a text is for. Empty: those to any country, or in any language."""

    country: str
    locale: str
    action: Action

    def __str__(self) -> str:
        """Write the place as the file of the texts has it."""
        tables = ("country", self.country, self.locale) if self.country else ("locale", self.locale)
        return f"[{'.'.join(filter(None, tables))}] {self.action}"


class OwnText(NamedTuple):
    """One text, and how many segments it may take."""

    text: str
    segments: int = 1

    def filled(self, action: Action, brand: str, shown: str) -> str:
        """Put in the brand, and what the action shows."""
        names = PLACEHOLDERS[action]
        return self.text.format(brand=brand, **dict(zip(names, shown.split(" ", len(names) - 1), strict=True)))


class Found(NamedTuple):
    """The text for a message. `is_exact`: it is for a country, so it is sent exactly as written."""

    text: OwnText
    is_exact: bool


@dataclass(frozen=True, slots=True)
class OwnTexts:
    """The texts by their places."""

    texts: Mapping[Place, OwnText] = field(default_factory=dict, hash=False)

    def write(
        self, country: str, locale: str, action: Action, *, brand: str, shown: str, ending: str = ""
    ) -> str | None:
        """Write a message; None if ours is to be used. `ending` is what follows a text that is not for a country."""
        own = self.find(country, locale, action)
        if own is None:
            return None
        text = own.text.filled(action, brand, shown)
        return text if own.is_exact else text + ending

    def find(self, country: str, locale: str, action: Action) -> Found | None:
        """Find the text for a message; None if ours is to be used."""
        for place in (Place(country, locale, action), Place(country, "", action), Place("", locale, action)):
            own = self.texts.get(place)
            if own is not None:
                return Found(own, is_exact=bool(place.country))
        return None

    def lacks(self, country: str, locale: str, action: Action) -> bool:
        """Tell whether there are texts for a country, but none for this message: its carriers may not deliver ours."""
        if not any(place.country == country for place in self.texts):
            return False
        own = self.find(country, locale, action)
        return own is None or not own.is_exact

    def with_others(self, others: "OwnTexts") -> "OwnTexts":
        """Return these texts with others in their places."""
        return OwnTexts({**self.texts, **others.texts}) if others.texts else self

    def check(self, brand: str, link_url: str | None) -> None:
        """Raise `ValueError` with a sentence for a text that is no message with this brand and address of links."""
        for place, own in self.texts.items():
            action = ACTIONS[place.action]
            secret = longest_secret(place.action)
            where = _LONGEST_NUMBER if place.action is Action.CALL else link_url or _EXAMPLE_ADDRESS
            text = own.filled(place.action, brand, action.shown(secret, where))
            if set(action.found_in(text)) != {secret}:
                raise ValueError(f"{place}: the secret runs into what is beside it; put a blank between them")
            if place.action is Action.CODE and not place.country:
                text += code.ending(secret, _USUAL_ORIGIN, None)
            needed = measured(text).segments
            if needed > own.segments:
                raise ValueError(
                    f"{place}: it takes {needed} segments with the longest secret; "
                    f"shorten it, or write {{ text = …, segments = {needed} }} to pay for them"
                )


NO_OWN_TEXTS = OwnTexts()


def parse_own_texts(text: str) -> OwnTexts:
    """Read texts from the content of a file in TOML. Raises `ValueError` with a sentence."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as failure:
        raise ValueError(f"the file is not TOML: {failure}") from None
    return read_own_texts(tables)


def read_own_texts(tables: Mapping[str, Any]) -> OwnTexts:
    """Read texts from the tables of a file. Raises `ValueError` with a sentence."""
    return OwnTexts({place: _text(place, value) for place, value in _places(tables)})


def _places(tables: Mapping[str, Any]) -> Iterator[tuple[Place, Any]]:
    for kind, named in tables.items():
        if kind not in ("locale", "country") or not isinstance(named, dict):
            raise ValueError(f"{kind}: write tables such as [locale.de] and [country.IN]")
        for name, texts in named.items():
            table = texts if isinstance(texts, dict) else {}
            if not table:
                raise ValueError(f"{kind}.{name}: write a table such as [{kind}.{name}], with a text for each action")
            yield from _of_locale("", name, table) if kind == "locale" else _of_country(name, table)


def _of_country(country: str, texts: Mapping[str, Any]) -> Iterator[tuple[Place, Any]]:
    if country not in REGIONS:
        raise ValueError(f"[country.{country}]: this is not a region; write two capital letters, such as IN")
    for name, value in texts.items():
        if isinstance(value, dict) and name not in PLACEHOLDERS:
            yield from _of_locale(country, name, value)
        else:
            yield Place(country, "", _action(name, f"[country.{country}]")), value


def _of_locale(country: str, locale: str, texts: Mapping[str, Any]) -> Iterator[tuple[Place, Any]]:
    table = f"[country.{country}.{locale}]" if country else f"[locale.{locale}]"
    if locale not in LOCALES:
        raise ValueError(f"{table}: this is not one of our languages, which are {', '.join(LOCALES)}")
    for name, value in texts.items():
        yield Place(country, locale, _action(name, table)), value


def _action(name: str, table: str) -> Action:
    if name not in PLACEHOLDERS:
        raise ValueError(f"{table} {name}: there are texts for {', '.join(PLACEHOLDERS)}")
    return Action(name)


def _text(place: Place, value: Any) -> OwnText:
    own = {"text": value} if isinstance(value, str) else value
    if not isinstance(own, dict) or not isinstance(own.get("text"), str) or own.keys() - {"text", "segments"}:
        raise ValueError(f"{place}: write a text, or {{ text = …, segments = 2 }}")
    segments = own.get("segments", 1)
    if not isinstance(segments, int) or not 1 <= segments <= _MOST_SEGMENTS:
        raise ValueError(f"{place}: segments is a whole number from 1 to {_MOST_SEGMENTS}")
    _check_placeholders(place, own["text"])
    return OwnText(own["text"], segments)


def _check_placeholders(place: Place, text: str) -> None:
    try:
        fields = [part[1:] for part in string.Formatter().parse(text) if part[1] is not None]
    except ValueError:
        raise ValueError(f"{place}: a brace has no partner; write {{{{ or }}}} for a brace itself") from None
    needed = PLACEHOLDERS[place.action]
    known = ("brand", *needed)
    strange = [name for name, form, conversion in fields if name not in known or form or conversion]
    if strange:
        raise ValueError(
            f"{place}: nothing fills {{{strange[0]}}}; there are {' and '.join(map('{{{}}}'.format, known))}"
        )
    lacking = set(needed) - {name for name, _, _ in fields}
    if lacking:
        raise ValueError(f"{place}: it lacks {{{min(lacking)}}}")
    if any(not each.isprintable() and each != "\n" for each in text):
        raise ValueError(f"{place}: it has a character that cannot be seen")
