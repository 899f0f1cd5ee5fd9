"""The settings of a sandbox: the credentials that it accepts, and its delays.

The defaults are valid, so that a demo needs no account. They are not secret: the sandbox contains nothing that needs
protection.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

_TEMPLATES = {
    language: f"HX{'5a' * 15}{number:02}" for number, language in enumerate(("en", "de", "es", "fr", "it", "pt_BR"), 1)
}


@dataclass(frozen=True, kw_only=True)
class SandboxSettings:
    """The simulated account, and switches for points on which Twilio's behaviour is not documented.

    Both Basic pairs are accepted: account SID with auth token, API key with API secret. The auth token signs webhooks.
    """

    account_sid: str = "AC" + "5a" * 16
    auth_token: str = field(default="sandbox-auth-token", repr=False)
    api_key: str = "SK" + "5a" * 16
    api_secret: str = field(default="sandbox-api-secret", repr=False)

    shared_key: str = field(default="", repr=False)
    """The secret of a SharedKey: if set, it signs webhooks instead of the auth token."""

    shared_key_id: str = "webhooks_sharedkey_" + "5a" * 13
    """The ID of the SharedKey in the header."""

    require_provide_feedback: bool = False
    """Feedback for a message sent without ProvideFeedback: True returns 400, False accepts. Twilio is silent on it."""

    response_seconds: float = 0.0
    """The network delay of a call: one half before it is processed, one half after."""

    delivery_seconds: float = 0.2
    """The time from queued to sent, and again from sent to delivered."""

    pool_number: str = "+15005550006"
    """The sender that a Messaging Service picks."""

    templates: Mapping[str, str] = field(default_factory=lambda: dict(_TEMPLATES))
    """The approved authentication templates for WhatsApp: the ContentSid of each language."""

    template_minutes: int = 10
    """The `code_expiration_minutes` of these templates."""

    rcs_sender: str = ""
    """An RCS sender in the sender pool of every Messaging Service, such as `acme_agent`: it replaces SMS."""

    message_url: str = ""
    """Where inbound messages go: SmsUrl of the numbers and InboundRequestUrl of the Messaging Services, until the REST
    API changes it."""

    voice_url: str = ""
    """Where inbound calls go: VoiceUrl of the numbers, until the REST API changes it."""

    advanced_opt_out: bool = False
    """Whether the Messaging Services have Advanced Opt-Out, which is set in the Console only."""

    filter_passcodes: bool = True
    """Whether an inbound message with 4 to 8 digits in a row fails (30038). Twilio does not say what it filters."""

    sign_call_extras: bool = True
    """Whether the signature of a call's requests covers StirVerstat and CallToken. Both have been seen at Twilio."""

    speech_seconds_per_word: float = 0.0
    """How long the voice of a call takes to say a word; the time-out of Gather starts when it has said all."""

    allow_public_callbacks: bool = False
    """Webhooks are sent to loopback hosts only, unless this is set: a test must not post to public servers."""

    keep_messages: int = 10_000
    """How many messages, feedback posts and callback posts are kept, of each kind."""

    def __post_init__(self) -> None:
        if min(self.delivery_seconds, self.response_seconds, self.speech_seconds_per_word) < 0:
            raise ValueError("delivery_seconds, response_seconds and speech_seconds_per_word cannot be negative")
        if self.keep_messages < 1:
            raise ValueError("keep_messages must be at least 1")
