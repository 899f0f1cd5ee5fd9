"""The account at Twilio: its credentials, its senders, and where Twilio is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_TWILIO = "https://api.twilio.com"
# At Twilio some APIs have hosts of their own; whatever replaces Twilio has one address for all.
API_HOST = re.compile(r"\Ahttps://api\.(?=(?:[a-z0-9.-]+\.)?twilio\.com\Z)")


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioAccount:
    """Which account sends, from which sender, and where Twilio is."""

    account_sid: str
    username: str  # the account SID with its Auth Token, or an API key's SID with its secret
    password: str = field(repr=False)
    messaging_service_sid: str | None = None  # it chooses the sender; without one, `from_number` is the sender
    from_number: str | None = None
    whatsapp_sender: str | None = None  # a number, or a Messaging Service; None: no WhatsApp messages
    whatsapp_templates: Mapping[str, str] = field(default_factory=dict)  # language → ContentSid
    whatsapp_locale: str = "en"  # whose template goes to languages that have none
    whatsapp_feedback: bool = False
    voice_from: str | None = None  # the number that calls people; None: no calls
    base_url: str | None = None  # None: the real Twilio, at this edge and in this region; a region needs its edge
    edge: str | None = None
    region: str | None = None
    public_url: str | None = None  # where Twilio reaches this service; None: no status callbacks
    risk_check: str | None = None  # "enable" or "disable"; None: as the account says
    content_retention: str | None = None  # "retain" or "discard"
    address_retention: str | None = None  # "retain" or "obfuscate"
    total_timeout_seconds: float = 5.0
    connect_timeout_seconds: float = 2.0

    @property
    def address(self) -> str:
        """Return where requests go: `base_url`, or the host of the edge and the region."""
        if self.base_url is not None:
            return self.base_url
        if self.edge is None and self.region is None:
            return _TWILIO
        place = ".".join(part for part in (self.edge, self.region or "us1") if part)
        return f"https://api.{place}.twilio.com"
