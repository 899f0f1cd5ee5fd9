"""The schemas of requests, which are also in the OpenAPI document: each field has a description.

They are strict: unknown fields are refused, and no type is converted; what people type is folded (`core.folding`).
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.api.v1.channel_list import LIST_OF_CHANNELS, ChannelStep, read_steps
from service.api.v1.fields import (
    LANGUAGES,
    Address,
    Amount,
    CodeLength,
    Host,
    LanguageTag,
    Lifetime,
    LinkReturn,
    OriginText,
    PasswordLength,
    Payee,
    Purpose,
    Region,
    TypedCode,
    TypedNumber,
    TypedPassword,
)
from service.api.v1.schema_rules import NEVER_TOGETHER, OF_ONE_ACTION, given
from service.core.actions import ACTIONS, Action
from service.core.actions.link import LONGEST_ORIGIN_TEXT
from service.core.channels import Channel, Step
from service.core.issue_request import IssueRequest
from service.core.payment import ACTIONS_WITH_PAYMENT, Payment
from service.core.phone import PhoneNumber
from service.core.verification import VerificationRequest
from service.http.problems import FieldUnfit, HttpProblem


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class IssueBody(_Body):
    """Who gets a code, and how."""

    model_config = ConfigDict(json_schema_extra=NEVER_TOGETHER)

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
    channels: list[ChannelStep] | None = Field(
        None,
        min_length=1,
        max_length=len(Channel),
        description=LIST_OF_CHANNELS,
        examples=[[{"channel": "whatsapp", "wait_seconds": 30}, {"channel": "sms"}]],
    )
    action: Action | None = Field(
        None, description=f"What the person does that proves receipt; default `{Action.CODE}`."
    )
    purpose: Purpose | None = Field(None, description="What the proof is for; default `login`.", examples=["login"])
    locale: LanguageTag | None = Field(None, description=LANGUAGES, examples=["de-AT"])
    code_length: CodeLength | None = Field(None, description="Number of digits; default `OTP_CODE_LENGTH`.")
    password_length: PasswordLength | None = Field(
        None, description="Number of characters of a password; default 13.", examples=[13]
    )
    ttl_seconds: Lifetime | None = Field(
        None,
        description="How long the secret is valid; default `OTP_CODE_TTL`. At most 600, and 86400 for a password.",
    )
    client_ip: Address | None = Field(
        None, description="The person's address, IPv4 or IPv6, for the limits by address.", examples=["192.0.2.7"]
    )
    web_origin: Host | None = Field(
        None,
        description="Host on which the browser may fill in the code (WebOTP). Not together with `app_hash`.",
        examples=["login.example.com"],
    )
    embedded_origin: Host | None = Field(
        None,
        description="Host of the frame in which the code is typed, if it is another than that of the page around it, "
        "which is then `web_origin`.",
        examples=["pay.example.net"],
    )
    app_hash: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9+/]{11}$",
        description="Android app hash (SMS Retriever). Not together with `web_origin`.",
        examples=["FA+9qCX9VSu"],
    )
    origin_text: OriginText | None = Field(
        None,
        description="Where a link's login came from, in your words: its page shows them. One line of plain text, "
        f"at most {LONGEST_ORIGIN_TEXT} characters, without an address (a blank follows each full stop) and without "
        "invisible characters.",
        examples=["Chrome on Windows, near Berlin"],
    )
    link_return: LinkReturn | None = Field(
        None,
        description="Where a link's page leads back to after the approval: the place of the address in "
        "`OTP_LINK_RETURN_URLS`, from 0. Default: nowhere.",
    )
    amount: Amount | None = Field(
        None,
        description="What the code or password approves, with its currency, as the message shall show it, beside "
        "`payee`. The check must repeat both, and with any other the verdict is `mismatch`.",
        examples=["12.50 EUR"],
    )
    payee: Payee | None = Field(
        None, description="Who gets the `amount`, as the message shall show it.", examples=["Acme Books"]
    )
    reference: str | None = Field(
        None,
        pattern=r"^[ -~]{1,64}$",
        description="Your reference; every response shows it. Do not use personal data.",
        examples=["order-4711"],
    )

    @model_validator(mode="after")
    def _parts_agree(self) -> "IssueBody":
        if self.web_origin is not None and self.app_hash is not None:
            raise FieldUnfit(
                "app_hash", "Both web_origin and app_hash need the last line of the message. Send one of them."
            )
        if self.embedded_origin is not None and self.web_origin is None:
            raise FieldUnfit("web_origin", "The host of the page around the frame is needed beside embedded_origin.")
        action = self.action or Action.CODE
        for name, owner in OF_ONE_ACTION.items():
            if owner is not action and getattr(self, name) is not None:
                raise FieldUnfit(name, f"The field {name} is only for the action {owner}.")
        if (self.amount is None) is not (self.payee is None):
            lacking = "amount" if self.amount is None else "payee"
            raise FieldUnfit(lacking, "The message shows amount and payee together. Send both, or none of them.")
        if self.amount is not None and action not in ACTIONS_WITH_PAYMENT:
            raise FieldUnfit("amount", f"A payment is approved by a code or a password, not by the action {action}.")
        longest = ACTIONS[action].LONGEST_TTL_SECONDS
        if self.ttl_seconds is not None and self.ttl_seconds > longest:
            sentence = f"The secret of the action {action} is valid for at most {longest} seconds."
            raise FieldUnfit("ttl_seconds", sentence)
        return self

    @model_validator(mode="after")
    def _channels_carry_action(self) -> "IssueBody":
        self._steps()
        return self

    def _steps(self) -> list[Step]:
        return read_steps(self.channel, self.channels, self.action or Action.CODE)

    def to_request(
        self, number: PhoneNumber, caller: str | None, *, locale: str, owner: str | None = None
    ) -> IssueRequest:
        """Make the request for the core, which has read `number` from `to` and chosen the locale. Null is absent.

        `caller` tells API keys apart; the verification will belong to `owner`.
        """
        values = {name: value for name, value in self if value is not None} | {
            "country": number.country,
            "locale": locale,
        }
        request = VerificationRequest(**{name: values[name] for name in VerificationRequest._fields if name in values})
        first, *further = self._steps()
        return IssueRequest(
            number,
            request,
            first.channel,
            wait_seconds=first.wait_seconds if further else 0,
            further=tuple(further),
            client_ip=self.client_ip,
            caller=caller,
            owner=owner,
            payment=Payment.of(self.amount, self.payee),
        )


_ONE_SECRET: dict[str, Any] = {  # the rule of `typed_secret` for the document
    "not": {"anyOf": [given("code", "password"), {"not": {"anyOf": [given("code"), given("password")]}}]}
}


class CheckBody(_Body):
    """What the person typed: either a code or a password."""

    model_config = ConfigDict(json_schema_extra=_ONE_SECRET)

    code: TypedCode | None = Field(
        None,
        description="The code as typed, 4 to 8 digits of any script. Blanks, dashes and invisible characters "
        "are removed: `123 456`, `123-456` and `١٢٣٤٥٦` are the code 123456.",
        examples=["123456"],
    )
    password: TypedPassword | None = Field(
        None,
        description="The password as typed, 10 to 24 letters and digits. Case, blanks, dashes and invisible characters "
        "do not matter; O is read as 0, I and L as 1.",
        examples=["7KQ2M-X40BT-9WD"],
    )
    to: TypedNumber | None = Field(
        None,
        description="Must be the verification's number, with its country code, or the verdict is `mismatch`.",
        examples=["+14155550123"],
    )
    purpose: Purpose | None = Field(
        None, description="Must be the verification's purpose, or the verdict is `mismatch`.", examples=["login"]
    )
    amount: Amount | None = Field(
        None,
        description="Must be the verification's amount, and absent if it has none, or the verdict is `mismatch`.",
        examples=["12.50 EUR"],
    )
    payee: Payee | None = Field(None, description="Likewise, its payee.", examples=["Acme Books"])


# Not a validator of `CheckBody`, which would take a microsecond of each check.
def typed_secret(body: CheckBody) -> tuple[str, Action | None]:
    """Return what was typed, and its action unless it is a code. Raises `HttpProblem`."""
    if body.code is not None and body.password is None:
        return body.code, None
    if body.password is not None and body.code is None:
        return body.password, Action.PASSWORD
    raise HttpProblem("invalid_request", errors=[{"pointer": "/code", "detail": "Send either code or password."}])


class ResendBody(_Body):
    """How the next code travels. All of it may be left out, and the body too."""

    channel: Channel | None = Field(
        None,
        description="How this message travels, with an API key only. Default: as the verification was issued; with "
        "a list of channels, as its newest message.",
    )


class SearchBody(_Body):
    """Whose verifications are wanted."""

    to: TypedNumber = Field(description="The number, as for an issue.", examples=["+14155550123"])
    country: Region | None = Field(
        None, description="Region in which a number without a plus sign is read, as for an issue.", examples=["US"]
    )
