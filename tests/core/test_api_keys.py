"""The promises of `service.core.api_keys`: a key is random and shown once, and its record is parsed with care."""

import json
from datetime import UTC, datetime

import pytest

from service.core.api_keys import ApiKey, Scope, key_digest, new_api_key, read_api_keys
from service.core.instants import instant


def test_a_key_is_256_random_bits_behind_its_prefix():
    """No two keys are equal, and each is `otp_sk_` with 43 characters that need no escaping anywhere."""
    keys = {new_api_key("shop", [Scope.VERIFICATIONS])[0] for _ in range(1000)}
    assert len(keys) == 1000
    for key in keys:
        prefix, secret = key[:7], key[7:]
        assert (prefix, len(secret)) == ("otp_sk_", 43)
        assert secret.replace("-", "").replace("_", "").isalnum()


def test_the_record_of_a_key_does_not_contain_it():
    """The record has a digest, a name, scopes and a date, and no part of the key."""
    key, kept = new_api_key("shop", [Scope.VERIFICATIONS])
    assert kept.digest == key_digest(key)
    assert kept.digest != key_digest(key + "x")
    assert key[7:] not in repr(kept) + json.dumps(kept.particulars)


def test_a_key_has_its_creation_time():
    """`created_at` is the current instant as the API shows instants: RFC 3339 in UTC, with milliseconds."""
    created_at = new_api_key("shop", [Scope.REPORTS])[1].created_at
    made = datetime.fromisoformat(created_at)
    assert instant(round(made.timestamp() * 1000)) == created_at
    assert made.utcoffset().total_seconds() == 0
    assert abs((datetime.now(UTC) - made).total_seconds()) < 60


@pytest.mark.parametrize("scopes", [[Scope.VERIFICATIONS], list(Scope), [Scope.REPORTS, Scope.OPERATE, Scope.REPORTS]])
def test_a_key_survives_a_round_trip(scopes):
    """A key read back from its JSON equals the original; a repeated scope is listed once."""
    _, kept = new_api_key("shop \u00fc", scopes)
    assert kept.scopes == set(scopes)
    assert list(kept.particulars["scopes"]) == sorted(set(scopes))
    assert read_api_keys({kept.digest: json.dumps(kept.particulars).encode()}) == {kept.digest: kept}


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"null", b"[]", b"12", b'"text"', b"{}", b"\xff\xfe", b'{"name":"x"}', b'{"scopes":["operate"]}',
        b'{"name":"x","scopes":null}', b'{"name":"x","scopes":7}', b'{"name":"x","scopes":[["operate"]]}',
    ],
)  # fmt: skip
def test_an_unreadable_entry_opens_nothing_and_hides_no_other(content):
    """An unreadable entry opens no endpoint, and other keys are read as usual."""
    _, kept = new_api_key("shop", [Scope.VERIFICATIONS])
    entries = {"0" * 64: content, kept.digest: json.dumps(kept.particulars).encode()}
    assert read_api_keys(entries) == {kept.digest: kept}


def test_an_unknown_scope_opens_no_endpoint():
    """A scope of a later version is kept and opens nothing; a text instead of a list opens nothing."""
    read = read_api_keys({"a": b'{"name":"x","scopes":["root"]}', "b": b'{"name":"x","scopes":"operate"}'})
    assert read["a"] == ApiKey("a", "x", frozenset({"root"}), "", "x")
    assert not set(Scope) & read["b"].scopes
