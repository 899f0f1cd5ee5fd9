"""The promises of `service.core.profiles`: whose values a message has, and how fresh they are."""

import json
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest

from service.core.actions import Action
from service.core.api_keys import ApiKey, Look, Scope, new_api_key
from service.core.keyring import Keyring
from service.core.limits import Limit
from service.core.message_texts import MessageTexts
from service.core.own_texts import parse_own_texts
from service.core.profiles import Profile, Profiles, can_receive
from service.core.store_health import StoreUnavailable
from service.core.verification import VerificationRequest

KEYRING = Keyring([b"newest" * 6], b"index" * 7)
DEFAULT = Profile(MessageTexts("Acme", own=parse_own_texts('[locale.de]\ncode = "Acmes Code: {code}"')))
OWN = '[locale.fr]\ncode = "{code} est votre code {brand}"'


@dataclass
class Keys:
    """Stored keys, and how often they were read."""

    kept: dict[str, ApiKey] = field(default_factory=dict)
    is_away: bool = False
    reads: int = 0

    async def api_keys(self) -> dict[str, bytes]:
        self.reads += 1
        if self.is_away:
            raise StoreUnavailable
        return {key.digest: json.dumps(key.particulars).encode() for key in self.kept.values()}

    def add(self, name: str, look: Look, *, owner: str | None = None, created_at: str | None = None) -> str:
        """Add a key; return its tag."""
        key = new_api_key(name, [Scope.VERIFICATIONS], owner=owner, look=look)[1]
        if created_at:
            key = ApiKey(key.digest, key.name, key.scopes, created_at, key.owner, key.look)
        self.kept[name] = key
        return KEYRING.limit_tag(Limit.API_KEY, key.digest)


@pytest.fixture
def keys() -> Keys:
    """Return a store of keys."""
    return Keys()


@pytest.fixture
def now() -> list[float]:
    """Return a clock that advances only when a test moves it."""
    return [5_000.0]


@pytest.fixture
def profiles(keys: Keys, now: list[float]) -> Profiles:
    """Return the profiles of these keys."""
    return Profiles(keys, KEYRING, DEFAULT, clock=lambda: now[0])


async def test_a_key_has_its_own_and_otherwise_the_settings(keys: Keys, profiles: Profiles) -> None:
    """What a key says holds for it alone; what it lacks, also each single text, is as the settings say."""
    shop = keys.add("shop", Look("Rooster", "+14155550199", "fr", OWN))
    plain = keys.add("plain", Look())
    profile = await profiles.of(shop, None)
    assert (profile.texts.brand, profile.sender, profile.texts.default_locale) == ("Rooster", "+14155550199", "fr")
    french, german = (VerificationRequest("FR", locale=locale, code_length=6) for locale in ("fr", "de"))
    assert profile.texts.write(french, "123456") == "123456 est votre code Rooster"
    assert profile.texts.write(german, "123456") == "Acmes Code: 123456"
    assert await profiles.of(plain, None) == DEFAULT == await profiles.of(None, None)


async def test_a_copy_serves_for_half_a_minute(keys: Keys, profiles: Profiles, now: list[float]) -> None:
    """Redis is read once in 30 s; then a change counts, also for verifications that exist."""
    tag = keys.add("shop", Look("Rooster"))
    for _ in range(5):
        assert (await profiles.of(tag, None)).texts.brand == "Rooster"
    keys.kept["shop"] = ApiKey(*[*_fields(keys.kept["shop"])[:-1], Look("Hen")])
    now[0] += 29
    assert ((await profiles.of(tag, None)).texts.brand, keys.reads) == ("Rooster", 1)
    now[0] += 1
    assert ((await profiles.of(tag, None)).texts.brand, keys.reads) == ("Hen", 2)


async def test_a_new_key_is_known_at_once(keys: Keys, profiles: Profiles) -> None:
    """A key that the copy lacks is read before its first message: never is that of another brand."""
    await profiles.of(keys.add("shop", Look("Rooster")), None)
    assert (await profiles.of(keys.add("bank", Look("Vault")), None)).texts.brand == "Vault"
    assert keys.reads == 2


async def test_of_a_revoked_key_the_newest_of_the_owner_stands_in(keys: Keys, profiles: Profiles) -> None:
    """A verification whose key is revoked has the values of the newest key of its owner, else of the settings."""
    revoked = keys.add("shop", Look("Rooster"))
    owner = keys.kept.pop("shop").owner_tag
    keys.add("newer", Look("Newer"), owner="shop", created_at="2026-02-01")
    keys.add("older", Look("Older"), owner="shop", created_at="2026-01-01")
    assert (await profiles.of(revoked, owner)).texts.brand == "Newer"
    assert await profiles.of(revoked, "another") == DEFAULT
    assert keys.reads == 1, "a revoked key is not looked for each time"


async def test_several_revoked_keys_are_looked_for_once(keys: Keys, profiles: Profiles) -> None:
    """Messages of several revoked keys in turn read the keys once for each of them, not once for each message."""
    revoked = [keys.add(name, Look()) for name in ("shop", "bank")]
    keys.kept.clear()
    for tag in revoked * 3:
        assert await profiles.of(tag, None) == DEFAULT
    assert keys.reads == 2


async def test_while_redis_is_away_the_copy_serves_known_keys(keys: Keys, profiles: Profiles, now: list[float]) -> None:
    """Known keys keep their values for ten minutes; for others, and later, no message is written at all."""
    tag = keys.add("shop", Look("Rooster"))
    await profiles.of(tag, None)
    keys.is_away = True
    now[0] += 599
    assert (await profiles.of(tag, None)).texts.brand == "Rooster"
    with pytest.raises(StoreUnavailable):
        await profiles.of(keys.add("bank", Look("Vault")), None)
    now[0] += 2
    with pytest.raises(StoreUnavailable):
        await profiles.of(tag, None)


async def test_texts_that_cannot_be_read_are_left_out(keys: Keys, profiles: Profiles) -> None:
    """Texts of a key that this version does not understand leave its brand and ours."""
    tag = keys.add("shop", Look("Rooster", texts="[locale.xx]\ncode = 1"))
    texts = (await profiles.of(tag, None)).texts
    assert (texts.brand, texts.own) == ("Rooster", DEFAULT.texts.own)


async def test_segments_are_counted_with_the_texts_of_the_key(keys: Keys, profiles: Profiles) -> None:
    """The segments of a message are those of the key's own text, with the longest secret."""
    long = f'[locale.en]\nreply = {{ text = "{"long " * 29}{{words}} {{brand}}", segments = 2 }}'
    issued = _Issued(keys.add("shop", Look("Rooster", texts=long)))
    assert await profiles.most_segments(issued) == 2
    assert await profiles.most_segments(_Issued(keys.add("plain", Look()))) == 1


class _Issued(NamedTuple):
    key_tag: str
    owner: str | None = None
    request: VerificationRequest = VerificationRequest("US", action=Action.REPLY)
    payment: None = None


def _fields(key: ApiKey) -> list[object]:
    return [key.digest, key.name, key.scopes, key.created_at, key.owner, key.look]


@pytest.mark.parametrize(
    ("sender", "receives"),
    [("+14155550100", True), ("12345", True), ("Rooster", False), ("Rooster Pay", False), ("MG" + "1b" * 16, True)],
)
def test_nobody_replies_to_a_name(sender: str, receives: bool) -> None:  # noqa: FBT001 - parametrized
    """People can reply to numbers, short codes and pools, not to names."""
    assert can_receive(sender) is receives
