"""The schemas of requests, which are also in the OpenAPI document: each field has a description.

They are strict: unknown fields are refused, and no type is converted; what people type is folded (`core.folding`).
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.api.v1.fields import Address, CodeLength, Host, Lifetime, Locale, Purpose, Region, TypedCode, TypedNumber
from service.core.actions import Action
from service.core.channels import CHANNELS, DEFAULT_CHANNEL, Channel, ChannelUnfit
from service.core.issue_request import IssueRequest
from service.core.phone import PhoneNumber
from service.core.verification import VerificationRequest


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


_ONE_LAST_LINE: dict[str, Any] = {  # the rule of `_one_last_line` for the document: null counts as absent
    "not": {
        "required": ["web_origin", "app_hash"],
        "properties": {name: {"type": "string"} for name in ("web_origin", "app_hash")},
    }
}


class IssueBody(_Body):
    """Who gets a code, and how."""

    model_config = ConfigDict(json_schema_extra=_ONE_LAST_LINE)

    to: TypedNumber = Field(
        description="The number as a person writes it: a plus sign, country code, number. Blanks, dashes, dots, "
        "parentheses and invisible characters are removed; digits may be of any script. Responses show it as E.164, "
        "which is unique for each number.",
        examples=["+14155550123"],
    )
    country: Region | None = Field(
        None,
        description="Region (ISO 3166-1 alpha-2) in which a number without a plus sign is read as a national one.",
        examples=["US"],
    )
    channel: Channel | None = Field(None, description=f"How the message travels; default `{Channel.SMS}`.")
    action: Action | None = Field(
        None, description=f"What the person does that proves receipt; default `{Action.CODE}`."
    )
    purpose: Purpose | None = Field(None, description="What the proof is for; default `login`.", examples=["login"])
    locale: Locale | None = Field(None, description="Language of the message; default `en`.")
    code_length: CodeLength | None = Field(None, description="Number of digits; default `OTP_CODE_LENGTH`.")
    ttl_seconds: Lifetime | None = Field(None, description="How long a code is valid; default `OTP_CODE_TTL`.")
    client_ip: Address | None = Field(
        None, description="The person's address, IPv4 or IPv6, for the limits by address.", examples=["192.0.2.7"]
    )
    web_origin: Host | None = Field(
        None,
        description="Host on which the browser may fill in the code (WebOTP). Not together with `app_hash`.",
        examples=["login.example.com"],
    )
    app_hash: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9+/]{11}$",
        description="Android app hash (SMS Retriever). Not together with `web_origin`.",
        examples=["FA+9qCX9VSu"],
    )
    reference: str | None = Field(
        None,
        pattern=r"^[ -~]{1,64}$",
        description="Your reference; every response shows it. Do not use personal data.",
        examples=["order-4711"],
    )

    @model_validator(mode="after")
    def _one_last_line(self) -> "IssueBody":
        if self.web_origin is not None and self.app_hash is not None:
            raise ValueError("Both web_origin and app_hash need the last line of the message. Send only one of them.")
        return self

    @model_validator(mode="after")
    def _channel_carries_action(self) -> "IssueBody":
        channel, action = self.channel or DEFAULT_CHANNEL, self.action or Action.CODE
        if action not in CHANNELS[channel].actions:
            raise ValueError(str(ChannelUnfit(channel, action)))
        return self

    def to_request(self, number: PhoneNumber, caller: str | None, *, owner: str | None = None) -> IssueRequest:
        """Make the request for the core, which has read `number` from `to`. Null counts as absent.

        `caller` tells API keys apart; the verification will belong to `owner`.
        """
        given = {name: value for name, value in self if value is not None} | {"country": number.country}
        request = VerificationRequest(**{name: given[name] for name in VerificationRequest._fields if name in given})
        return IssueRequest(
            number, request, self.channel or DEFAULT_CHANNEL, client_ip=self.client_ip, caller=caller, owner=owner
        )


class CheckBody(_Body):
    """What the person typed."""

    code: TypedCode = Field(
        description="The code as typed, 4 to 8 digits of any script. Blanks, dashes and invisible characters "
        "are removed: `123 456`, `123-456` and `١٢٣٤٥٦` are the code 123456.",
        examples=["123456"],
    )
    to: TypedNumber | None = Field(
        None,
        description="Must be the verification's number, with its country code, or the verdict is `mismatch`.",
        examples=["+14155550123"],
    )
    purpose: Purpose | None = Field(
        None, description="Must be the verification's purpose, or the verdict is `mismatch`.", examples=["login"]
    )


class ResendBody(_Body):
    """How the next code travels. All of it may be left out, and the body too."""

    channel: Channel | None = Field(
        None, description="How this message travels, with an API key only; default: as the verification was issued."
    )


class SearchBody(_Body):
    """Whose verifications are wanted."""

    to: TypedNumber = Field(description="The number, as for an issue.", examples=["+14155550123"])
    country: Region | None = Field(
        None, description="Region in which a number without a plus sign is read, as for an issue.", examples=["US"]
    )
