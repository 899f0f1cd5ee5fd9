"""How Twilio signs its callbacks: base64(HMAC-SHA1(Auth Token, URL + sorted form fields)).

The library computes the signature, and `hmac.compare_digest` compares it (the library's own comparison is a plain
loop). API keys never sign. While the Auth Token rotates, two are valid. If a Webhook Rule of the account matches our
URL, a SharedKey signs instead of the token, and a header names key and algorithm: then only the SharedKeys are valid,
and without the header only the Auth Tokens. The header is not signed, so the key's name in it is ignored. The signature
has no time, so callbacks may be repeated.
(https://www.twilio.com/docs/usage/webhooks/webhooks-security and .../webhook-shared-keys)
"""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from twilio.request_validator import (  # type: ignore[import-untyped] # the library ships no types
    RequestValidator,
    add_port,
    get_signature_algorithm,
    remove_port,
)


class TwilioSignature:
    """Checks signatures against the Auth Tokens and SharedKeys; without any, no signature is valid."""

    def __init__(self, auth_tokens: Iterable[str], shared_keys: Iterable[str] = ()) -> None:
        # Anybody could sign with an empty secret.
        self._by_auth_token = tuple(RequestValidator(token) for token in auth_tokens if token)
        self._by_shared_key = tuple(RequestValidator(key) for key in shared_keys if key)
        self.has_shared_keys = bool(self._by_shared_key)

    def is_genuine(self, url: str, fields: Mapping[str, Sequence[str]], signature: str, settings: str = "") -> bool:
        """Tell whether Twilio signed these form fields, blank ones too, for this public URL.

        Raises nothing, whatever the request holds. Twilio signs some URLs with their port, and others without.
        """
        validators = self._by_shared_key if settings else self._by_auth_token
        algorithm = get_signature_algorithm(settings)
        form = _Form(fields)
        given = signature.encode(errors="backslashreplace")
        try:
            parts = urlsplit(url)
            spellings = {url, add_port(parts), remove_port(parts)}
            expected = [
                validator.compute_signature(spelling, form, algorithm).encode()
                for validator in validators
                for spelling in spellings
            ]
        except ValueError:  # an invalid port, a character that UTF-8 cannot encode, an unknown algorithm
            return False
        return any(hmac.compare_digest(candidate, given) for candidate in expected)


class _Form(dict[str, Sequence[str]]):
    """A form as the library reads it: `getall` returns all values of a field."""

    def getall(self, name: str) -> Sequence[str]:
        return self[name]
