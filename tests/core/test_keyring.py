"""The promises of `service.core.keyring`: names without numbers, authenticated encryption, and key rotation.

This test derives the keys independently with `hmac` (RFC 5869, RFC 2104): a changed derivation would, in one
upgrade, move every number to another partition, reset every limit and invalidate every pending code and token.
"""

import base64
import hmac
from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.core.keyring import CLIENT_TOKEN_PREFIX, DIGEST_BYTES, Keyring, SealBroken

OLD, NEW, INDEX = (
    b"old secret, 32 bytes or longer ..",
    b"new secret, 32 bytes or longer ..",
    b"index key, 32 bytes or longer ...",
)
BEFORE, DURING, AFTER = Keyring([OLD], INDEX), Keyring([NEW, OLD], INDEX), Keyring([NEW], INDEX)
ID, OTHER_ID = "ve_3" + "f" * 31, "ve_3" + "f" * 30 + "e"
NUMBER = "+14155552671"
SEAL_OVERHEAD_BYTES = 29

ids = st.from_regex(r"ve_[0-9a-f]{32}", fullmatch=True, alphabet=st.characters(codec="ascii"))
codes = st.from_regex(r"[0-9]{4,8}", fullmatch=True, alphabet=st.characters(codec="ascii"))
secret_keys = st.binary(min_size=32, max_size=64)


def expand(secret: bytes, use: bytes) -> bytes:
    """Derive a key by RFC 5869, with one block of output and no salt."""
    extracted = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(extracted, b"otp-service/1 " + use + b"\x01", "sha256")


def text_of(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def partner_in_key_id() -> bytes:
    """Find another secret whose sealed values start with the same byte as those of NEW."""
    wanted = expand(NEW, b"key id")[:1]
    return next(secret for n in range(100_000) if expand(secret := b"partner %032d" % n, b"key id").startswith(wanted))


# --- Names ----------------------------------------------------------------------------------------


def test_names_are_derived_as_documented() -> None:
    """Names, digests and tokens are derived from the keys by HKDF and HMAC only, the same in every release."""
    of_number = hmac.digest(expand(INDEX, b"number"), NUMBER.encode(), "sha256")
    of_limit = hmac.digest(expand(INDEX, b"limit"), b"ip|192.0.2.1", "sha256")
    of_request = hmac.digest(expand(INDEX, b"idempotency"), b"scope|key", "sha256")
    of_body = hmac.digest(expand(INDEX, b"idempotency"), b"body|{}", "sha256")
    of_code = hmac.digest(expand(OLD, b"code digest"), f"{ID}|123456".encode(), "sha256")
    of_token = hmac.digest(expand(OLD, b"client token"), ID.encode(), "sha256")
    assert BEFORE.number_tag(NUMBER) == text_of(of_number[:16])
    assert BEFORE.partition(NUMBER) == of_number.hex()[0]
    assert BEFORE.limit_tag("ip", "192.0.2.1") == text_of(of_limit[:16])
    assert BEFORE.idempotency_tag("scope", "key") == text_of(of_request[:16])
    assert BEFORE.fingerprint(b"{}") == of_body.hex()[:16]
    assert BEFORE.code_digests(ID, "123456") == (of_code[:DIGEST_BYTES],)
    assert BEFORE.client_token(ID) == "vt_" + text_of(of_token[:24])


@given(secret_keys, secret_keys, st.text(max_size=20))
def test_rotation_moves_nothing(one: bytes, other: bytes, value: str) -> None:
    """A new secret key leaves every number in its partition and every limit and idempotency record under its name."""
    before, after = Keyring([one], INDEX), Keyring([other, one], INDEX)
    assert before.partition(value) == after.partition(value)
    assert before.number_tag(value) == after.number_tag(value)
    assert before.limit_tag("ip", value) == after.limit_tag("ip", value)
    assert before.idempotency_tag("scope", value) == after.idempotency_tag("scope", value)
    assert before.fingerprint(value.encode()) == after.fingerprint(value.encode())


def test_names_need_the_index_key() -> None:
    """Another index key changes the name of a number, so the name cannot be computed without the key."""
    other = Keyring([OLD], b"another index key of enough length")
    assert other.number_tag(NUMBER) != BEFORE.number_tag(NUMBER)
    assert other.limit_tag("ip", NUMBER) != BEFORE.limit_tag("ip", NUMBER)
    assert other.fingerprint(b"{}") != BEFORE.fingerprint(b"{}")


def test_one_text_has_a_different_name_in_each_role() -> None:
    """Numbers, limits and requests are named under separate keys: the names of one text differ."""
    names = [
        BEFORE.number_tag(NUMBER),
        BEFORE.limit_tag("prefix", NUMBER),
        BEFORE.limit_tag("country", NUMBER),
        BEFORE.idempotency_tag("prefix", NUMBER),
    ]
    assert len(set(names)) == len(names)


def test_one_secret_in_both_settings_still_gives_separate_keys() -> None:
    """Even if the index key equals the secret key, the digests of two roles never match."""
    keyring = Keyring([INDEX], INDEX)
    prefixes = {
        keyring.client_token(ID).removeprefix("vt_")[:20],
        keyring.number_tag(ID)[:20],
        text_of(keyring.code_digests(ID, "")[0])[:20],
    }
    assert len(prefixes) == 3


@given(st.text(max_size=30))
def test_names_are_safe_in_redis_keys(value: str) -> None:
    """A name has 22 characters without braces, colons or spaces, and does not contain its input."""
    for name in (BEFORE.number_tag(value), BEFORE.limit_tag("ip", value), BEFORE.idempotency_tag("scope", value)):
        assert len(name) == 22
        assert set(name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert BEFORE.partition(value) in "0123456789abcdef"


def test_partitions_are_filled_evenly() -> None:
    """Neighbouring numbers are spread over all 16 partitions, each within a tenth of its share."""
    numbers = 32_000
    counts = Counter(BEFORE.partition(f"+1415{n:07}") for n in range(numbers))
    assert set(counts) == set("0123456789abcdef")
    assert all(0.9 < count / (numbers / 16) < 1.1 for count in counts.values())


# --- Code digests ---------------------------------------------------------------------------------


@given(ids, codes)
def test_a_code_is_digested_under_every_key_newest_first(verification_id: str, code: str) -> None:
    """Old digests are still found; new ones are written with the newest key."""
    newest, older = DURING.code_digests(verification_id, code)
    assert BEFORE.code_digests(verification_id, code) == (older,)
    assert AFTER.code_digests(verification_id, code) == (newest,)
    assert newest != older
    assert len(newest) == len(older) == DIGEST_BYTES


@given(ids, ids, codes, codes)
def test_a_digest_belongs_to_one_code_of_one_verification(one: str, other: str, code: str, wrong: str) -> None:
    """Another code, or the same code of another verification, has another digest."""
    same = BEFORE.code_digests(one, code) == BEFORE.code_digests(other, wrong)
    assert same == ((one, code) == (other, wrong))


# --- Client tokens --------------------------------------------------------------------------------


@given(ids)
def test_a_token_stays_valid_through_a_rotation(verification_id: str) -> None:
    """Tokens of both listed keys are valid; the newest key makes new ones; those of a retired key are refused."""
    old_token, token = BEFORE.client_token(verification_id), DURING.client_token(verification_id)
    assert DURING.is_client_token(verification_id, old_token)
    assert DURING.is_client_token(verification_id, token)
    assert token == AFTER.client_token(verification_id)
    assert not AFTER.is_client_token(verification_id, old_token)


@given(ids, ids)
def test_a_token_opens_nothing_else(one: str, other: str) -> None:
    """The token of one verification is refused for another."""
    assume(one != other)
    assert not DURING.is_client_token(other, DURING.client_token(one))


@given(ids, st.data())
def test_a_changed_token_is_refused(verification_id: str, data: st.DataObject) -> None:
    """A token with a changed, missing or additional character is refused."""
    token = BEFORE.client_token(verification_id)
    at = data.draw(st.integers(0, len(token) - 1))
    character = data.draw(st.characters(exclude_characters=token[at], exclude_categories=["Cs"]))
    assert not BEFORE.is_client_token(verification_id, token[:at] + character + token[at + 1 :])
    assert not BEFORE.is_client_token(verification_id, token[: max(at, len(CLIENT_TOKEN_PREFIX))])
    assert not BEFORE.is_client_token(verification_id, token + character)


@given(ids, st.text())
def test_no_token_raises(verification_id: str, token: str) -> None:
    """Any text as a token, also a non-ASCII one, is refused without an exception."""
    assert not DURING.is_client_token(verification_id, token)
    assert not DURING.is_client_token(verification_id, CLIENT_TOKEN_PREFIX + token)


@pytest.mark.parametrize("token", ["", "vt_", "vt_\u00e9", "\u00ff" * 35, "vt_\u0661", "\0", "vt_" + "A" * 10_000])
def test_malformed_tokens_are_refused(token: str) -> None:
    """Empty, non-ASCII and very long tokens are refused."""
    assert not DURING.is_client_token(ID, token)


@given(ids)
def test_a_token_travels_in_a_header(verification_id: str) -> None:
    """A token is `vt_` and 192 bits in characters that need no escaping in a header or a URL."""
    token = BEFORE.client_token(verification_id)
    assert token.startswith("vt_")
    assert len(base64.urlsafe_b64decode(token.removeprefix("vt_"))) * 8 == 192
    assert verification_id not in token


# --- Seals ----------------------------------------------------------------------------------------


@given(st.text(max_size=40), st.binary(max_size=200))
def test_a_sealed_value_can_be_opened(context: str, content: bytes) -> None:
    """Decrypted content is identical byte for byte; the overhead is 29 bytes."""
    sealed = BEFORE.seal(context, content)
    assert BEFORE.unseal(context, sealed) == content
    assert len(sealed) == len(content) + SEAL_OVERHEAD_BYTES


@given(st.binary(max_size=64))
def test_seals_outlive_a_rotation_but_not_their_key(content: bytes) -> None:
    """A sealed value can be opened while its key is listed; a retired key's is refused; the newest key seals."""
    old, new = BEFORE.seal(ID, content), DURING.seal(ID, content)
    assert DURING.unseal(ID, old) == DURING.unseal(ID, new) == AFTER.unseal(ID, new) == content
    with pytest.raises(SealBroken, match="OTP_SECRET_KEYS"):
        AFTER.unseal(ID, old)
    with pytest.raises(SealBroken):
        BEFORE.unseal(ID, new)


@given(st.text(max_size=40), st.text(max_size=40), st.binary(max_size=64))
def test_a_seal_is_bound_to_its_context(context: str, other: str, content: bytes) -> None:
    """A sealed value copied into another record cannot be opened."""
    assume(context != other)
    with pytest.raises(SealBroken):
        BEFORE.unseal(other, BEFORE.seal(context, content))


@given(st.binary(max_size=64), st.data())
def test_every_bit_is_authenticated(content: bytes, data: st.DataObject) -> None:
    """One flipped bit anywhere, including key id and nonce, makes a value invalid."""
    sealed = bytearray(DURING.seal(ID, content))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealBroken):
        DURING.unseal(ID, bytes(sealed))


@pytest.mark.parametrize("length", range(SEAL_OVERHEAD_BYTES + len(NUMBER)))
def test_a_truncated_value_is_a_broken_seal(length: int) -> None:
    """A value truncated at any place is refused as a broken seal, with no other error."""
    sealed = BEFORE.seal(ID, NUMBER.encode())
    with pytest.raises(SealBroken):
        BEFORE.unseal(ID, sealed[:length])


@given(st.binary(max_size=80), st.booleans())
def test_random_bytes_are_a_broken_seal(rubbish: bytes, as_ours: bool) -> None:  # noqa: FBT001 - drawn by the test
    """Random bytes are refused as a broken seal, even if they start with one of our key ids."""
    with pytest.raises(SealBroken):
        BEFORE.unseal(ID, BEFORE.seal(ID, b"")[:1] + rubbish if as_ours else rubbish)


def test_two_keys_may_share_their_id() -> None:
    """Values of two keys with the same id byte can both be opened: the id is only a hint."""
    partner = partner_in_key_id()
    one, other = Keyring([NEW], INDEX).seal(ID, b"one"), Keyring([partner], INDEX).seal(ID, b"other")
    both = Keyring([partner, NEW], INDEX)
    assert one[:1] == other[:1]
    assert (both.unseal(ID, one), both.unseal(ID, other)) == (b"one", b"other")


def test_no_nonce_is_reused() -> None:
    """Sealing the same content twice returns different bytes, each with its own nonce."""
    sealed = {BEFORE.seal(ID, NUMBER.encode()) for _ in range(1_000)}
    assert len({value[1:13] for value in sealed}) == 1_000


def test_a_sealed_number_keeps_its_record_small() -> None:
    """The longest number, sealed, takes at most 64 bytes, up to which Redis packs a hash."""
    assert len(BEFORE.seal(ID, b"+" + b"9" * 15)) <= 64


# --- The keyring itself ---------------------------------------------------------------------------


def test_a_keyring_without_keys_is_refused() -> None:
    """A keyring without a secret key is refused, because it could write nothing."""
    with pytest.raises(ValueError, match="at least one secret key"):
        Keyring([], INDEX)


def test_a_keyring_does_not_show_its_keys() -> None:
    """Neither a secret nor a derived key appears when a keyring, or anything it holds, is printed."""
    shown = repr(DURING) + str(DURING) + f"{DURING!r:>200}" + repr(DURING._keys) + str(DURING._keys[0])
    derived = [expand(NEW, use) for use in (b"code digest", b"client token", b"seal")]
    for secret in [OLD, NEW, INDEX, *derived, *(expand(INDEX, use) for use in (b"number", b"limit", b"idempotency"))]:
        for written in (repr(secret)[2:-1], secret.hex(), text_of(secret)):
            assert written not in shown
