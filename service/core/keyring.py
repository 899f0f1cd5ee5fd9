"""The keys: everything that is derived from `OTP_SECRET_KEYS` and `OTP_INDEX_KEY`.

`OTP_SECRET_KEYS` rotate: the newest key writes, all of them read. From each, HKDF (RFC 5869) derives separate keys for
code digests, sealing and client tokens. `OTP_INDEX_KEY` never rotates, because the partition and the limits of a number
depend on it, and so do links and the recognition of a repeated request. Neither is written to Redis, so a stolen dump
reveals no number and no code (a plain hash of six digits can be reversed at once).
"""

import base64
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

DIGEST_BYTES = 16
CLIENT_TOKEN_PREFIX = "vt_"  # noqa: S105 - a prefix, not a secret
_NONCE_BYTES = 12
_LEAST_SEALED_BYTES = 1 + _NONCE_BYTES + 16


class NumberIndex(NamedTuple):
    """Where a number is kept in Redis: both from one HMAC."""

    partition: str  # one of 16, as a hex digit
    tag: str  # 128 bits, 22 characters


class SealBroken(Exception):
    """A sealed value was written under a key that is no longer listed, or was tampered with."""


@dataclass(frozen=True, slots=True, repr=False)
class _DerivedKeys:
    """One secret of `OTP_SECRET_KEYS`, split by use."""

    code: HMAC  # keyed once and copied for each use: keying takes twice as long as the rest
    token: HMAC
    aead: AESGCM = field(compare=False)
    id: bytes  # one byte in front of sealed values: which key to try


class Keyring:
    """Digests, seals and tags; holds no state but its keys."""

    def __init__(self, secret_keys: Sequence[bytes], index_key: bytes) -> None:
        if not secret_keys:
            raise ValueError("at least one secret key is needed")
        self._keys = tuple(_derive(secret) for secret in secret_keys)
        # The first byte of a sealed value names its key. A record with another one was written by a newer key.
        self.key_ids = b"".join(keys.id for keys in self._keys)
        self._number_mac = HMAC(_expand(index_key, b"number"), SHA256())
        self._limit_mac = HMAC(_expand(index_key, b"limit"), SHA256())
        self._idempotency_mac = HMAC(_expand(index_key, b"idempotency"), SHA256())
        self._link_mac = HMAC(_expand(index_key, b"link"), SHA256())
        self._payment_mac = HMAC(_expand(index_key, b"payment"), SHA256())
        self._match_mac = HMAC(_expand(index_key, b"match"), SHA256())
        self._session_mac = HMAC(_expand(index_key, b"session"), SHA256())

    def number_index(self, number: str) -> NumberIndex:
        """Tell where a number is kept, and under which name."""
        mac = _mac(self._number_mac, number.encode())
        return NumberIndex(mac.hex()[0], _text(mac[:16]))

    def number_tag(self, number: str) -> str:
        """Make the tag of a number, which does not reveal it."""
        return self.number_index(number).tag

    def partition(self, number: str) -> str:
        """Return the partition of a number."""
        return self.number_index(number).partition

    def limit_tag(self, kind: str, value: str) -> str:
        """Make the tag of what a limit counts, which does not reveal it."""
        return _text(_mac(self._limit_mac, f"{kind}|{value}".encode())[:16])

    def idempotency_tag(self, scope: str, key: str) -> str:
        """Make the tag of an Idempotency-Key of one caller and route. It is kept for 24 h, so it survives rotations."""
        return _text(_mac(self._idempotency_mac, f"{scope}|{key}".encode())[:16])

    def fingerprint(self, content: bytes) -> str:
        """Make a fingerprint that tells request bodies apart and does not reveal them: 64 bits in hex."""
        return _mac(self._idempotency_mac, b"body|" + content).hex()[:16]

    def code_digests(self, verification_id: str, code: str) -> tuple[bytes, ...]:
        """Digest a code under every key, newest first; the first digest is stored."""
        message = f"{verification_id}|{code}".encode()
        return tuple([_mac(keys.code, message)[:DIGEST_BYTES] for keys in self._keys])

    def link_digest(self, token: str) -> bytes:
        """Digest the token of a link. Its Redis key has this name too, so it survives rotations."""
        return _mac(self._link_mac, token.encode())[:DIGEST_BYTES]

    def payment_tag(self, verification_id: str, content: bytes) -> str:
        """Make the tag of the payment of a verification, which does not reveal it: 72 bits, 12 characters."""
        return _text(_mac(self._payment_mac, f"{verification_id}|".encode() + content)[:9])

    def match(self, verification_id: str) -> str:
        """Derive two digits that the page which started shows."""
        return f"{self.match_number(verification_id, 100):02d}"

    def match_number(self, verification_id: str, below: int) -> int:
        """Derive a number that only the page which started can tell."""
        return int.from_bytes(_mac(self._match_mac, verification_id.encode())) % below

    def session_tag(self, token: str) -> str:
        """Make the tag that a session of the dashboard is stored under. It survives rotations."""
        return _text(_mac(self._session_mac, b"tag|" + token.encode()))

    def csrf_token(self, token: str) -> str:
        """Derive the CSRF token of a session."""
        return _text(_mac(self._session_mac, b"csrf|" + token.encode()))

    def client_token(self, verification_id: str) -> str:
        """Make the token that lets a front end act on one verification and nothing else."""
        return CLIENT_TOKEN_PREFIX + _token(self._keys[0], verification_id)

    def is_client_token(self, verification_id: str, token: str) -> bool:
        """Check a client token in constant time, under every key."""
        prefix, given = token[: len(CLIENT_TOKEN_PREFIX)], token[len(CLIENT_TOKEN_PREFIX) :].encode()
        return prefix == CLIENT_TOKEN_PREFIX and any(
            hmac.compare_digest(_token(keys, verification_id).encode(), given) for keys in self._keys
        )

    def seal(self, context: str, content: bytes) -> bytes:
        """Encrypt with AES-256-GCM, bound to a context: key id, nonce, ciphertext and tag (29 bytes more)."""
        keys = self._keys[0]
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return keys.id + nonce + keys.aead.encrypt(nonce, content, context.encode())

    def unseal(self, context: str, sealed: bytes) -> bytes:
        """Decrypt what `seal` made. Raises `SealBroken`."""
        if len(sealed) < _LEAST_SEALED_BYTES:
            raise SealBroken("the sealed value is cut off")
        nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        for keys in self._keys:
            if keys.id == sealed[:1]:  # two keys may share this byte, so try the next key after a failure
                try:
                    return keys.aead.decrypt(nonce, ciphertext, context.encode())
                except InvalidTag:
                    continue
        raise SealBroken(
            "no key in OTP_SECRET_KEYS opens this value; keep a retired key until its last record has expired"
        )


def _derive(secret: bytes) -> _DerivedKeys:
    return _DerivedKeys(
        code=HMAC(_expand(secret, b"code digest"), SHA256()),
        token=HMAC(_expand(secret, b"client token"), SHA256()),
        aead=AESGCM(_expand(secret, b"seal")),
        id=_expand(secret, b"key id")[:1],
    )


def _expand(secret: bytes, use: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"otp-service/1 " + use).derive(secret)


def _mac(keyed: HMAC, message: bytes) -> bytes:
    mac = keyed.copy()
    mac.update(message)
    return mac.finalize()


def _token(keys: _DerivedKeys, verification_id: str) -> str:
    return _text(_mac(keys.token, verification_id.encode())[:24])


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
