"""How Twilio signs its callbacks: base64(HMAC-SHA1(Auth Token, URL + sorted form fields)).

The library computes, `hmac.compare_digest` compares (the library's own comparison is a plain loop).
Only an Auth Token signs, an API key's secret never does; while the token rotates, two are valid. The
signature carries no time, so whoever takes the callbacks must bear repeats.
(https://www.twilio.com/docs/usage/webhooks/webhooks-security)
"""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from twilio.request_validator import (  # type: ignore[import-untyped] # the library ships no types
    RequestValidator,
    add_port,
    remove_port,
)


class TwilioSignature:
    """Judges signatures by the Auth Tokens in force; without any, nothing is genuine."""

    def __init__(self, auth_tokens: Iterable[str]) -> None:
        # An empty token is no token: anybody could sign with it.
        self._validators = tuple(RequestValidator(token) for token in auth_tokens if token)

    def is_genuine(self, url: str, fields: Mapping[str, Sequence[str]], signature: str) -> bool:
        """Tell whether Twilio signed these form fields, blanks included, for this public URL.

        Never raises, whatever a stranger sends. Twilio signs the URL now with its port, now without.
        """
        form = _Form(fields)
        given = signature.encode(errors="backslashreplace")
        try:
            parts = urlsplit(url)
            spellings = {url, add_port(parts), remove_port(parts)}
            expected = [
                validator.compute_signature(spelling, form).encode()
                for validator in self._validators
                for spelling in spellings
            ]
        except ValueError:  # a port that is none, or a character that UTF-8 cannot write
            return False
        return any(hmac.compare_digest(candidate, given) for candidate in expected)


class _Form(dict[str, Sequence[str]]):
    """A form as the library reads one: `getall` gives every value of a field that came more than once."""

    def getall(self, name: str) -> Sequence[str]:
        return self[name]
