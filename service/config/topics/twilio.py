"""The settings of the account at Twilio: its credentials, its senders, and how Twilio is reached."""

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings

from service.config import channel_forms, forms
from service.config.forms import Optional, Switch
from service.config.web_addresses import is_loopback

# The host name of a region contains its edge; host names without one ended on 2026-04-28 (API Domain Migration Guide).
EDGES = {"us1": "ashburn", "ie1": "dublin", "au1": "sydney"}


class TwilioSettings(BaseSettings):
    """Which account sends, and by which sender."""

    twilio_account_sid: forms.AccountSid = None
    twilio_auth_token: forms.Tokens = ()
    twilio_webhook_keys: forms.Tokens = ()
    twilio_api_key: forms.ApiKeySid = None
    twilio_api_secret: forms.OptionalToken = None
    twilio_messaging_service_sid: forms.MessagingServiceSid = None
    twilio_from: forms.Sender = None
    twilio_whatsapp_from: channel_forms.WhatsAppSender = None
    twilio_whatsapp_templates: channel_forms.Templates = ()
    # The templates say it. They could say up to 90, but no code lives longer than 10.
    otp_whatsapp_minutes: int = Field(10, ge=1, le=10)
    otp_whatsapp_feedback: Switch = False
    twilio_voice_from: forms.CallNumber = None
    twilio_base_url: forms.BaseUrl = None
    twilio_edge: forms.TwilioPlace = None
    twilio_region: forms.TwilioPlace = None
    otp_risk_check: Annotated[Optional, forms.one_of("enable", "disable")] = "enable"
    otp_content_retention: Annotated[Optional, forms.one_of("retain", "discard")] = None
    otp_address_retention: Annotated[Optional, forms.one_of("retain", "obfuscate")] = None

    @property
    def is_twilio_played(self) -> bool:
        """Whether messages go to a simulator on this machine."""
        return is_loopback(urlsplit(self.twilio_base_url or "").hostname)

    @property
    def senders(self) -> tuple[str, ...]:
        """The channels by which messages can be sent."""
        has_sender = {"sms": True, "whatsapp": self.twilio_whatsapp_from, "voice": self.twilio_voice_from}
        return tuple(channel for channel, sender in has_sender.items() if sender)

    @model_validator(mode="after")
    def _account_is_one(self) -> Self:
        if (self.twilio_api_key is None) != (self.twilio_api_secret is None):
            raise ValueError("TWILIO_API_KEY and TWILIO_API_SECRET belong together: set both or neither")
        if self.twilio_messaging_service_sid and self.twilio_from:
            raise ValueError("set TWILIO_MESSAGING_SERVICE_SID or TWILIO_FROM, not both")
        if self.twilio_region and not self.twilio_edge and self.twilio_region not in EDGES:
            raise ValueError("set TWILIO_EDGE too: Twilio has no address for this TWILIO_REGION alone")
        if bool(self.twilio_whatsapp_from) != bool(self.twilio_whatsapp_templates):
            raise ValueError("TWILIO_WHATSAPP_FROM and TWILIO_WHATSAPP_TEMPLATES belong together: set both or neither")
        return self
