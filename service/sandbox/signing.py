"""Signs webhooks as Twilio documents it (https://www.twilio.com/docs/usage/security#validating-requests).

Implemented from that page and not with Twilio's library, so that the library's validator can check it. A SharedKey
signs the same text with SHA-256 (https://www.twilio.com/docs/usage/webhooks/webhook-shared-keys).
"""

import base64
import hmac
from collections.abc import Mapping


def sign(secret: str, url: str, form: Mapping[str, str], algorithm: str = "sha1") -> str:
    """Return X-Twilio-Signature: base64 of an HMAC over the URL and all names and values, sorted, with empty ones."""
    signed = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.new(secret.encode(), signed.encode(), algorithm).digest()).decode()
