"""The settings of a sandbox: the credentials that it accepts, and its delays.

The defaults are valid, so that a demo needs no account. They are not secret: the sandbox contains nothing that needs
protection.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class SandboxSettings:
    """The simulated account, and switches for two points on which Twilio's behaviour is not documented.

    Both Basic pairs are accepted: account SID with auth token, API key with API secret. The auth token signs callbacks.
    """

    account_sid: str = "AC" + "5a" * 16
    auth_token: str = field(default="sandbox-auth-token", repr=False)
    api_key: str = "SK" + "5a" * 16
    api_secret: str = field(default="sandbox-api-secret", repr=False)

    shared_key: str = field(default="", repr=False)
    """The secret of a SharedKey: if set, it signs callbacks instead of the auth token."""

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

    allow_public_callbacks: bool = False
    """Callbacks go to loopback hosts only, unless this is set: a test must not post to public servers."""

    keep_messages: int = 10_000
    """How many messages, feedback posts and callback posts are kept, of each kind."""

    def __post_init__(self) -> None:
        if self.delivery_seconds < 0 or self.response_seconds < 0:
            raise ValueError("delivery_seconds and response_seconds cannot be negative")
        if self.keep_messages < 1:
            raise ValueError("keep_messages must be at least 1")
