"""Settings: the environment, `.env` and secret files, read once and validated together.

Every setting is a field here, a line in `.env.example` and a row in `docs/settings.md`; a test compares the three.
Contradictions and placeholder secrets stop the start with a sentence that says what to set. The rules receive small
policies built from the settings, never the settings themselves.
"""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from service.config import forms, number_forms
from service.config.env_file import ENV_FILE, EnvFileRefused, read_env_file
from service.config.forms import Count, LimitSpec, Optional, Span, Switch
from service.config.refusals import sentence
from service.config.secret_files import SecretFilesRefused, read_secret_files
from service.config.web_addresses import is_loopback
from service.core.actions.code import LONGEST, SHORTEST
from service.core.limits import parse_limits
from service.core.own_texts import NO_OWN_TEXTS
from service.core.phone import (
    CountryNotAllowed,
    InvalidNumber,
    LineType,
    LineTypeNotAllowed,
    NumberPolicy,
    parse_number,
)
from service.core.texts.segments import check_brand
from service.redis_client import read_url

# The host name of a region contains its edge; host names without one ended on 2026-04-28 (API Domain Migration Guide).
EDGES = {"us1": "ashburn", "ie1": "dublin", "au1": "sydney"}

_IN_ENV_FILE = "in_env_file"  # passes the values of `.env` to the sources; it is not a setting


class SettingsRefused(Exception):
    """The settings cannot be used; each line of the text says what to set."""


class Settings(BaseSettings):
    """Everything an operator can set."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)
    is_isolated: ClassVar[bool] = False  # reads neither the environment nor files

    redis_url: Optional = Field(None, repr=False)  # may contain a password

    twilio_account_sid: forms.AccountSid = None
    twilio_auth_token: forms.Tokens = ()
    twilio_webhook_keys: forms.Tokens = ()
    twilio_api_key: forms.ApiKeySid = None
    twilio_api_secret: forms.OptionalToken = None
    twilio_messaging_service_sid: forms.MessagingServiceSid = None
    twilio_from: forms.Sender = None
    twilio_base_url: forms.BaseUrl = None
    twilio_edge: forms.TwilioPlace = None
    twilio_region: forms.TwilioPlace = None

    otp_public_url: forms.PublicUrl = None
    otp_link_url: forms.LinkUrl = None
    otp_link_return_urls: forms.ReturnUrls = ()
    otp_call_number: forms.CallNumber = None
    otp_secret_keys: forms.Keys = ()
    otp_index_key: forms.OptionalKey = None
    otp_brand: Annotated[str, AfterValidator(check_brand)] = "Acme"
    otp_locale: forms.Locale = "en"
    otp_texts: forms.Texts = NO_OWN_TEXTS
    otp_code_length: int = Field(6, ge=SHORTEST, le=LONGEST)
    otp_code_ttl: Span = Field(600, ge=30, le=600)
    otp_late_window: Span = Field(3600, ge=0, le=86400)
    otp_max_attempts: int = Field(5, ge=1, le=10)
    otp_max_sends: int = Field(5, ge=1, le=20)
    otp_supersede_codes: Switch = False
    otp_countries: forms.Countries = (
        "US", "CA", "GB", "IE", "DE", "AT", "CH", "FR", "ES", "IT", "NL", "BE", "AU", "NZ",
    )  # fmt: skip
    otp_extra_prefixes: number_forms.ExtraPrefixes = ()
    otp_line_types: number_forms.LineTypes = tuple(LineType)
    otp_limit_number: LimitSpec = parse_limits("1/30s,5/10m,10/1d")
    otp_limit_failed_checks: LimitSpec = parse_limits("20/1d")
    otp_limit_ip: LimitSpec = parse_limits("30/10m,200/1d")
    otp_limit_prefix: LimitSpec = parse_limits("100/1h")
    otp_limit_country: LimitSpec = parse_limits("5000/1h")
    otp_limit_day: LimitSpec = parse_limits("50000/1d")
    otp_limit_key: LimitSpec = parse_limits("10000/1h")
    otp_limit_peer: LimitSpec = parse_limits("60/1m")
    otp_limit_link: LimitSpec = parse_limits("300/1m")
    otp_require_client_ip: Switch = False
    otp_test_numbers: number_forms.TestNumbers = Field((), repr=False)
    otp_allow_test_numbers: Switch = False
    otp_trusted_proxies: forms.Proxies = Field(0, ge=0, le=10)
    otp_max_in_flight: int = Field(256, ge=2, le=10_000)  # 256 checks of 0.07 ms: none waits longer than about 18 ms
    otp_sends_in_flight: int = Field(128, ge=1, le=10_000)
    otp_confirmations_in_flight: int = Field(32, ge=1, le=10_000)
    otp_max_connections: Count = Field(None, ge=8, le=60_000)
    otp_max_connections_per_peer: Count = Field(None, ge=4, le=60_000)
    otp_drain_seconds: Span = Field(
        4, ge=0, le=300
    )  # more than the 3 s for which the proxies in deploy/ keep idle connections
    otp_keep_alive: Span = Field(75, ge=5, le=3600)  # more than the 60 s of most load balancers
    otp_cors_origins: forms.Origins = ()
    otp_risk_check: Annotated[Optional, forms.one_of("enable", "disable")] = "enable"
    otp_content_retention: Annotated[Optional, forms.one_of("retain", "discard")] = None
    otp_address_retention: Annotated[Optional, forms.one_of("retain", "obfuscate")] = None
    otp_worker: Switch = True
    otp_secrets_dir: Optional = None
    otp_data_dir: forms.Folder = Path("data")
    otp_docs: Switch = True
    otp_metrics_key: Switch = False
    otp_log_level: Annotated[str, forms.one_of("debug", "info", "warning", "error")] = "info"

    @property
    def is_twilio_played(self) -> bool:
        """Whether messages go to a simulator on this machine."""
        return is_loopback(urlsplit(self.twilio_base_url or "").hostname)

    @property
    def numbers(self) -> NumberPolicy:
        """The numbers that codes may be sent to."""
        return NumberPolicy(
            frozenset(self.otp_countries), frozenset(self.otp_line_types), dict(self.otp_extra_prefixes)
        )

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

    @field_validator("redis_url")
    @classmethod
    def _redis_url_is_understood(cls, value: str | None) -> str | None:
        if value is not None:
            read_url(value)
        return value

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        if (self.twilio_api_key is None) != (self.twilio_api_secret is None):
            raise ValueError("TWILIO_API_KEY and TWILIO_API_SECRET belong together: set both or neither")
        if self.twilio_messaging_service_sid and self.twilio_from:
            raise ValueError("set TWILIO_MESSAGING_SERVICE_SID or TWILIO_FROM, not both")
        if "*" in self.otp_cors_origins and len(self.otp_cors_origins) > 1:
            raise ValueError("OTP_CORS_ORIGINS is * or a list of origins, not both")
        if self.twilio_region and not self.twilio_edge and self.twilio_region not in EDGES:
            raise ValueError("set TWILIO_EDGE too: Twilio has no address for this TWILIO_REGION alone")
        if self.otp_index_key in self.otp_secret_keys:
            raise ValueError(
                "OTP_INDEX_KEY must differ from OTP_SECRET_KEYS, because it never changes and they are rotated"
            )
        return self

    @model_validator(mode="after")
    def _own_texts_are_messages(self) -> Self:
        try:
            self.otp_texts.check(self.otp_brand, self.otp_link_url or self.otp_public_url)
        except ValueError as refusal:
            raise ValueError(f"OTP_TEXTS: {refusal}") from None
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
    return missing + missing_secrets(settings)


def missing_secrets(settings: Settings) -> list[str]:
    """List which keys are missing, as sentences."""
    missing = []
    if not settings.otp_secret_keys:
        missing.append(f"Set OTP_SECRET_KEYS. {forms.NEW_SECRET}")
    if settings.otp_index_key is None:
        missing.append(f"Set OTP_INDEX_KEY, and never change it afterwards. {forms.NEW_SECRET}")
    return missing
