"""How Twilio signs its callbacks: base64(HMAC-SHA1(Auth Token, URL + sorted form fields)).

The library computes, `hmac.compare_digest` compares (the library's own comparison is a plain loop).
An API key's secret never signs. While the Auth Token rotates, two are valid. Where a Webhook Rule of the account
matches our URL, a SharedKey signs in the token's place, and a header names key and algorithm: then only the SharedKeys
count, and without the header only the Auth Tokens. The header is not signed, so the key's name in it decides nothing.
The signature carries no time, so whoever takes the callbacks must bear repeats.
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
    """Decides signatures by the Auth Tokens and SharedKeys in force; without any, nothing is genuine."""

    def __init__(self, auth_tokens: Iterable[str], shared_keys: Iterable[str] = ()) -> None:
        # An empty secret is no secret: anybody could sign with it.
        self._by_auth_token = tuple(RequestValidator(token) for token in auth_tokens if token)
        self._by_shared_key = tuple(RequestValidator(key) for key in shared_keys if key)
        self.has_shared_keys = bool(self._by_shared_key)

    def is_genuine(self, url: str, fields: Mapping[str, Sequence[str]], signature: str, settings: str = "") -> bool:
        """Tell whether Twilio signed these form fields, blanks included, for this public URL.

        Never raises, whatever a stranger sends. Twilio signs the URL now with its port, now without.
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
        except ValueError:  # a port that is none, a character that UTF-8 cannot write, an algorithm nobody knows
            return False
        return any(hmac.compare_digest(candidate, given) for candidate in expected)


class _Form(dict[str, Sequence[str]]):
    """A form as the library reads one: `getall` gives every value of a field that came more than once."""

    def getall(self, name: str) -> Sequence[str]:
        return self[name]
