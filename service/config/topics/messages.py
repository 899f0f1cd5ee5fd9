"""The settings of verifications: what messages say, how long codes live, and how answers come back."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_settings import BaseSettings

from service.config import forms
from service.config.forms import Span, Switch
from service.core.actions.code import LONGEST, SHORTEST
from service.core.own_texts import NO_OWN_TEXTS
from service.core.texts.segments import check_brand


class MessageSettings(BaseSettings):
    """What people get, and how long it is good for."""

    otp_public_url: forms.PublicUrl = None
    otp_link_url: forms.LinkUrl = None
    otp_link_return_urls: forms.ReturnUrls = ()
    otp_call_number: forms.CallNumber = None
    otp_brand: Annotated[str, AfterValidator(check_brand)] = "Acme"
    otp_locale: forms.Locale = "en"
    otp_texts: forms.Texts = NO_OWN_TEXTS
    otp_code_length: int = Field(6, ge=SHORTEST, le=LONGEST)
    otp_code_ttl: Span = Field(600, ge=30, le=600)
    otp_late_window: Span = Field(3600, ge=0, le=86400)
    otp_max_attempts: int = Field(5, ge=1, le=10)
    otp_max_sends: int = Field(5, ge=1, le=20)
    otp_supersede_codes: Switch = False

    @model_validator(mode="after")
    def _own_texts_are_messages(self) -> Self:
        try:
            self.otp_texts.check(self.otp_brand, self.otp_link_url or self.otp_public_url)
        except ValueError as refusal:
            raise ValueError(f"OTP_TEXTS: {refusal}") from None
        return self
