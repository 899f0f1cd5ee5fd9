"""Settings: the environment, `.env` and secret files, read once and validated together.

Every setting is a field in `config.topics`, a line in `.env.example` and a row in `docs/settings.md`; a test compares
the three. Contradictions and placeholder secrets stop the start with a sentence that says what to set. The rules
receive small policies built from the settings, never the settings themselves.
"""

from typing import Any, ClassVar, Self

from pydantic import ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from service.config import forms
from service.config.env_file import ENV_FILE, EnvFileRefused, read_env_file
from service.config.price_forms import check_prices
from service.config.refusals import sentence
from service.config.secret_files import SecretFilesRefused, read_secret_files
from service.config.topics.limits import LimitSettings
from service.config.topics.messages import MessageSettings
from service.config.topics.serving import ServingSettings
from service.config.topics.twilio import TwilioSettings
from service.core.phone import CountryNotAllowed, InvalidNumber, LineTypeNotAllowed, parse_number

_IN_ENV_FILE = "in_env_file"  # passes the values of `.env` to the sources; it is not a setting


class SettingsRefused(Exception):
    """The settings cannot be used; each line of the text says what to set."""


class Settings(ServingSettings, LimitSettings, MessageSettings, TwilioSettings):  # fields and errors: last base first
    """Everything an operator can set."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)
    is_isolated: ClassVar[bool] = False  # reads neither the environment nor files

    @classmethod
    def settings_customise_sources(  # the names are those of the library
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - replaced by `env_file`
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - replaced by `secret_files`
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: arguments, then files, then the environment, then `.env`."""
        if cls.is_isolated:
            return (init_settings,)
        in_env_file = init_settings().get(_IN_ENV_FILE, {})
        said = {**in_env_file, **env_settings()}
        folder = forms.bare({**said, **init_settings()}.get("otp_secrets_dir") or "")
        files = read_secret_files(folder, settings=cls.model_fields.keys() - {"otp_secrets_dir"}, elsewhere=said)
        of_files, of_env_file = (InitSettingsSource(settings_cls, values) for values in (files, in_env_file))
        return (init_settings, of_files, env_settings, of_env_file)

    @field_validator("*", mode="before")
    @classmethod
    def _is_bare(cls, value: Any) -> Any:
        """Strip values from every source alike, so that a secret stays the same if it moves to another source."""
        return forms.bare(value)

    @model_validator(mode="after")
    def _budget_knows_every_price(self) -> Self:
        if self.otp_budget_day is not None and self.otp_prices is not None:
            for channel in self.senders:
                check_prices(self.otp_prices, channel, self.countries[channel])
        return self

    @model_validator(mode="after")
    def _every_locale_has_a_template(self) -> Self:
        templates = dict(self.twilio_whatsapp_templates)
        if templates and self.otp_locale not in templates:
            raise ValueError(
                f"TWILIO_WHATSAPP_TEMPLATES lacks a template for OTP_LOCALE ({self.otp_locale}), which languages "
                "without a template of their own get"
            )
        return self

    @model_validator(mode="after")
    def _test_numbers_are_meant(self) -> Self:
        if self.otp_test_numbers and not (self.otp_allow_test_numbers or self.is_twilio_played):
            raise ValueError(
                "OTP_TEST_NUMBERS approves anyone who knows a number and its code; leave it empty, "
                "or set OTP_ALLOW_TEST_NUMBERS=true to allow it without TWILIO_BASE_URL on loopback"
            )
        for number, _ in self.otp_test_numbers:
            try:
                parse_number(number, self.numbers)
            except (InvalidNumber, CountryNotAllowed, LineTypeNotAllowed) as refusal:
                raise ValueError(
                    f"OTP_TEST_NUMBERS contains a number that no code can be issued for: {refusal}"
                ) from None
        return self


SETTINGS = tuple(name.upper() for name in Settings.model_fields)


class _IsolatedSettings(Settings):
    is_isolated = True


def isolated_settings(**values: Any) -> Settings:
    """Build settings from these values and the defaults only, for the demo and for tests."""
    return _IsolatedSettings(**values)


def load_settings(**overrides: Any) -> Settings:
    """Read files, environment and `.env`. Raises `SettingsRefused`, which names each invalid setting, not its value."""
    try:
        overrides[_IN_ENV_FILE] = read_env_file(overrides.pop("_env_file", ENV_FILE), settings=SETTINGS)
        return Settings(**overrides)
    except (SecretFilesRefused, EnvFileRefused) as refusal:
        raise SettingsRefused(str(refusal)) from None
    except ValidationError as failure:
        raise SettingsRefused(
            "\n".join(sentence(error, Settings.model_fields) for error in failure.errors(include_input=False))
        ) from None


def missing_to_serve(settings: Settings) -> list[str]:
    """List what must be set before messages can be sent, as sentences."""
    missing = []
    if settings.twilio_account_sid is None:
        missing.append("Set TWILIO_ACCOUNT_SID to your account's SID (AC and 32 hex digits).")
    if not settings.twilio_auth_token and settings.twilio_api_key is None:
        missing.append("Set TWILIO_AUTH_TOKEN, or TWILIO_API_KEY and TWILIO_API_SECRET.")
    if not settings.twilio_messaging_service_sid and not settings.twilio_from:
        missing.append("Set TWILIO_MESSAGING_SERVICE_SID (MG…) or TWILIO_FROM (your number).")
    if settings.otp_public_url and not (settings.twilio_auth_token or settings.twilio_webhook_keys):
        missing.append(
            "Set TWILIO_AUTH_TOKEN too, or TWILIO_WEBHOOK_KEYS: they authenticate the callbacks to OTP_PUBLIC_URL."
        )
    if settings.twilio_voice_from and settings.otp_public_url is None:
        missing.append("Set OTP_PUBLIC_URL too: calls from TWILIO_VOICE_FROM ask there what to say.")
    return missing + missing_secrets(settings)


def missing_secrets(settings: Settings) -> list[str]:
    """List which keys are missing, as sentences."""
    missing = []
    if not settings.otp_secret_keys:
        missing.append(f"Set OTP_SECRET_KEYS. {forms.NEW_SECRET}")
    if settings.otp_index_key is None:
        missing.append(f"Set OTP_INDEX_KEY, and never change it afterwards. {forms.NEW_SECRET}")
    return missing
