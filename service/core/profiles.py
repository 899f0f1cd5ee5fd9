"""Profiles: how the messages of an API key look. One service can so send for several products.

A key may have a brand, a sender, a default language and texts of its own; what it lacks is as the settings say. A
verification has the profile of the key that issued it, whoever asks for its next message: a front end, another key of
the owner, or the worker. Its record holds the keyed hash of that key, which the limits need too, and nothing else of
the profile; so a change of the key reaches its pending verifications as well. If the key has been revoked, the newest
key of the same owner stands in for it, and without one the settings.

The keys are read from Redis at once. The copy is at most 30 s old while Redis responds, and a key that it lacks causes
another read, so no message of a new key goes out under another brand. While Redis is unavailable, the last copy serves
known keys for ten minutes, as it does for authentication.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from service.core.api_keys import ApiKey, ApiKeyStore, read_api_keys
from service.core.keyring import Keyring
from service.core.limits import Limit
from service.core.message_texts import MessageTexts
from service.core.own_texts import NO_OWN_TEXTS, parse_own_texts
from service.core.payment import Payment
from service.core.store_health import StoreUnavailable
from service.core.verification import VerificationRequest

_OLDEST_SECONDS = 30.0
_OLDEST_AWAY_SECONDS = 600.0
_LONGEST_NAME = 11  # of a sender that is a name


@dataclass(frozen=True, slots=True)
class Profile:
    """How the messages of one API key look."""

    texts: MessageTexts
    sender: str | None = None  # of text messages: a number, a name or a pool; None: as the settings say
    sender_receives: bool = True  # people can reply to the sender, or it is not known


class Issued(Protocol):
    """A verification, new or not: what tells whose it is."""

    @property
    def key_tag(self) -> str | None:
        """What the API key is counted under that issued it."""

    @property
    def owner(self) -> str | None:
        """Whose API keys find it."""

    @property
    def request(self) -> VerificationRequest:
        """What was asked for."""

    @property
    def payment(self) -> Payment | None:
        """The payment that the message shows."""


class _Copy(NamedTuple):
    """The profiles as they were read."""

    by_key: Mapping[str, Profile]
    by_owner: Mapping[str, Profile]
    read_at: float


class Profiles:
    """Finds the profile of an API key."""

    def __init__(
        self, keys: ApiKeyStore, keyring: Keyring, default: Profile, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._keys = keys
        self._keyring = keyring
        self._default = default
        self._clock = clock
        self._copy = _Copy({}, {}, -_OLDEST_AWAY_SECONDS)
        self._revoked: set[str] = set()  # asked for, and not there
        self._reading = asyncio.Lock()

    async def of(self, key_tag: str | None, owner: str | None) -> Profile:
        """Return the profile of a key; without its tag, that of the settings. Raises `StoreUnavailable`."""
        if key_tag is None:
            return self._default
        if not self._is_known(key_tag):
            async with self._reading:
                if not self._is_known(key_tag):
                    await self._read(key_tag)
        copy = self._copy
        return copy.by_key.get(key_tag) or copy.by_owner.get(owner or "") or self._default

    async def most_segments(self, issued: Issued) -> int:
        """Tell how many segments a text message of a verification may take. Raises `StoreUnavailable`."""
        return (await self.of(issued.key_tag, issued.owner)).texts.most_segments(issued.request, issued.payment)

    def _is_known(self, key_tag: str) -> bool:
        is_fresh = self._clock() - self._copy.read_at < _OLDEST_SECONDS
        return is_fresh and (key_tag in self._copy.by_key or key_tag in self._revoked)

    async def _read(self, key_tag: str) -> None:
        try:
            keys = read_api_keys(await self._keys.api_keys())
        except StoreUnavailable:
            if key_tag in self._copy.by_key and self._clock() - self._copy.read_at < _OLDEST_AWAY_SECONDS:
                return
            raise
        by_key: dict[str, Profile] = {}
        by_owner: dict[str, Profile] = {}
        for key in sorted(keys.values(), key=lambda each: each.created_at):
            profile = profile_of(key, self._default)
            by_key[self._keyring.limit_tag(Limit.API_KEY, key.digest)] = by_owner[key.owner_tag] = profile
        self._copy = _Copy(by_key, by_owner, self._clock())
        self._revoked = (self._revoked | {key_tag}) - by_key.keys()


def profile_of(key: ApiKey, default: Profile) -> Profile:
    """Return the profile of a key. Texts that this version cannot read are left out: `check` tells of them."""
    look = key.look
    try:
        own = parse_own_texts(look.texts) if look.texts else NO_OWN_TEXTS
    except ValueError:
        own = NO_OWN_TEXTS
    texts = replace(
        default.texts,
        brand=look.brand or default.texts.brand,
        default_locale=look.locale or default.texts.default_locale,
        own=default.texts.own.with_others(own),
    )
    if look.sender is None:
        return replace(default, texts=texts)
    return Profile(texts, look.sender, sender_receives=can_receive(look.sender))


def can_receive(sender: str) -> bool:
    """Tell whether people can reply to a sender: not to a name. To a pool, whose id is longer, they may."""
    return len(sender) > _LONGEST_NAME or not any(map(str.isalpha, sender))
