"""The settings of a sandbox: the credentials that it accepts, and how fast its network is.

The defaults are valid, so that a demo needs no account. They are not secret: the sandbox contains nothing that needs
protection.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class SandboxSettings:
    """The account that the sandbox plays, and its two doubtful points as switches.

    Both Basic pairs are accepted: account SID with auth token, API key with API secret. The auth token signs callbacks.
    """

    account_sid: str = "AC" + "5a" * 16
    auth_token: str = field(default="sandbox-auth-token", repr=False)
    api_key: str = "SK" + "5a" * 16
    api_secret: str = field(default="sandbox-api-secret", repr=False)

    shared_key: str = field(default="", repr=False)
    """The secret of a SharedKey: when there is one it signs callbacks in place of the auth token."""

    shared_key_id: str = "webhooks_sharedkey_" + "5a" * 13
    """Its name in the header."""

    require_provide_feedback: bool = False
    """Feedback for a message sent without ProvideFeedback: True answers 400, False accepts. Twilio does not say."""

    answer_seconds: float = 0.0
    """How long a call is under way: one half before it is processed, one half after."""

    delivery_seconds: float = 0.2
    """The time from queued to sent, and again from sent to delivered."""

    pool_number: str = "+15005550006"
    """The sender that a Messaging Service picks."""

    allow_public_callbacks: bool = False
    """Callbacks go to loopback hosts only, unless this is set: a test must not write to a stranger's server."""

    keep_messages: int = 10_000
    """The newest messages, feedback posts and callback posts that are kept, of each kind."""

    def __post_init__(self) -> None:
        if self.delivery_seconds < 0 or self.answer_seconds < 0:
            raise ValueError("delivery_seconds and answer_seconds cannot be negative")
        if self.keep_messages < 1:
            raise ValueError("keep_messages must be at least 1")
