"""Settings: the environment, `.env` and secret files, read once and validated together.

Every setting is a field here, a line in `.env.example` and a row in the README; a test keeps the
three in step. Contradictions and placeholder secrets stop the start with a sentence that says what
to set. The rules receive small policies made from this, never the settings themselves.
"""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from service.config.forms import Count, LimitSpec, Optional, OptionalSecret, Proxies, Secrets, Span, TestNumbers, Words
from service.config.secret_files import SecretFilesRefused, read_secret_files
from service.core.codes import LONGEST, SHORTEST
from service.core.limits import parse_limits
from service.core.phone import CountryNotAllowed, InvalidNumber, parse_number
from service.core.texts import check_brand

_LEAST_SECRET_CHARACTERS = 32
_LEAST_DISTINCT_CHARACTERS = 8
# Long words only: a random key must not be taken for a placeholder by chance.
_PLACEHOLDER = re.compile(r"change|example|placeholder|secret|your[-_ ]|<|>", re.IGNORECASE)
_SENDER = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}")  # number, short code, name


class SettingsRefused(Exception):
    """The settings cannot be used; each line of the text says what to set."""


class Settings(BaseSettings):
    """Everything an operator can set."""

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True)
    is_isolated: ClassVar[bool] = False  # hears neither the environment nor a file

    redis_url: Optional = Field(None, repr=False)  # may hold a password

    twilio_account_sid: Optional = None
    twilio_auth_token: Secrets = ()
    twilio_webhook_keys: Secrets = ()
    twilio_api_key: Optional = None
    twilio_api_secret: OptionalSecret = None
    twilio_messaging_service_sid: Optional = None
    twilio_from: Optional = None
    twilio_base_url: Optional = None
    twilio_edge: Optional = None
    twilio_region: Optional = None

    otp_public_url: Optional = None
    otp_secret_keys: Secrets = ()
    otp_index_key: OptionalSecret = None
    otp_brand: Annotated[str, AfterValidator(check_brand)] = "Acme"
    otp_code_length: int = Field(6, ge=SHORTEST, le=LONGEST)
    otp_code_ttl: Span = Field(600, ge=30, le=600)
    otp_late_window: Span = Field(3600, ge=0, le=86400)
    otp_max_attempts: int = Field(5, ge=1, le=10)
    otp_max_sends: int = Field(5, ge=1, le=20)
    otp_supersede_codes: bool = False
    otp_countries: Words = ("US", "CA", "GB", "IE", "DE", "AT", "CH", "FR", "ES", "IT", "NL", "BE", "AU", "NZ")
    otp_limit_number: LimitSpec = parse_limits("1/30s,5/10m,10/1d")
    otp_limit_failed_checks: LimitSpec = parse_limits("20/1d")
    otp_limit_ip: LimitSpec = parse_limits("30/10m,200/1d")
    otp_limit_prefix: LimitSpec = parse_limits("100/1h")
    otp_limit_country: LimitSpec = parse_limits("5000/1h")
    otp_limit_day: LimitSpec = parse_limits("50000/1d")
    otp_limit_key: LimitSpec = parse_limits("10000/1h")
    otp_limit_peer: LimitSpec = parse_limits("60/1m")
    otp_require_client_ip: bool = False
    otp_test_numbers: TestNumbers = Field((), repr=False)
    otp_allow_test_numbers: bool = False
    otp_trusted_proxies: Proxies = Field(0, ge=0, le=10)
    otp_max_in_flight: int = Field(256, ge=2, le=10_000)  # 256 checks of 0.07 ms: whoever gets in waits about 18 ms
    otp_sends_in_flight: int = Field(128, ge=1, le=10_000)
    otp_confirmations_in_flight: int = Field(32, ge=1, le=10_000)
    otp_max_connections: Count = Field(None, ge=8, le=60_000)
    otp_max_connections_per_peer: Count = Field(None, ge=4, le=60_000)
    otp_drain_seconds: Span = Field(4, ge=0, le=300)  # over 3 s, after which the proxies of deploy/ close idle ones
    otp_cors_origins: Words = ()
    otp_risk_check: Optional = Field("enable", pattern="^(enable|disable)$")
    otp_content_retention: Optional = Field(None, pattern="^(retain|discard)$")
    otp_address_retention: Optional = Field(None, pattern="^(retain|obfuscate)$")
    otp_worker: bool = True
    otp_secrets_dir: Optional = None
    otp_data_dir: Path = Path("data")
    otp_docs: bool = True
    otp_metrics_key: bool = False
    otp_log_level: str = Field("info", pattern="^(debug|info|warning|error)$")

    @property
    def _twilio_host(self) -> str | None:
        return urlsplit(self.twilio_base_url or "").hostname

    @classmethod
    def settings_customise_sources(  # the names are the library's
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - `secret_files` says why not this one
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Prefer what the caller gives, then files, then the environment, then `.env`."""
        if cls.is_isolated:
            return (init_settings,)
        said = {**dotenv_settings(), **env_settings()}
        folder = {**said, **init_settings()}.get("otp_secrets_dir") or ""
        files = read_secret_files(folder, settings=cls.model_fields.keys() - {"otp_secrets_dir"}, elsewhere=said)
        return (init_settings, InitSettingsSource(settings_cls, files), env_settings, dotenv_settings)

    @field_validator("otp_countries")
    @classmethod
    def _countries_are_regions(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(re.fullmatch("[A-Z]{2}", country) is None for country in value):
            raise ValueError("write two-letter regions such as US,CA,DE; leave it empty to allow every country")
        return value

    @field_validator("twilio_base_url")
    @classmethod
    def _base_url_is_safe(cls, value: str | None) -> str | None:
        """Credentials go to this address: TLS, unless it never leaves the machine."""
        if value is None:
            return None
        url = urlsplit(value)
        if url.scheme == "https" and url.hostname:
            return value.rstrip("/")
        if url.scheme == "http" and _is_loopback(url.hostname):
            return value.rstrip("/")
        raise ValueError("use https, or http on a loopback address")

    @field_validator("otp_public_url")
    @classmethod
    def _public_url_is_plain(cls, value: str | None) -> str | None:
        if value is None:
            return None
        url = urlsplit(value)
        if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
            raise ValueError("write the address Twilio reaches this service at, such as https://otp.example.com")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        if (self.twilio_api_key is None) != (self.twilio_api_secret is None):
            raise ValueError("TWILIO_API_KEY and TWILIO_API_SECRET belong together: set both or neither")
        if self.twilio_messaging_service_sid and self.twilio_from:
            raise ValueError("set TWILIO_MESSAGING_SERVICE_SID or TWILIO_FROM, not both")
        if "*" in self.otp_cors_origins and len(self.otp_cors_origins) > 1:
            raise ValueError("OTP_CORS_ORIGINS is * or a list of origins, not both")
        return self

    @model_validator(mode="after")
    def _test_numbers_are_meant(self) -> Self:
        if self.otp_test_numbers and not (self.otp_allow_test_numbers or _is_loopback(self._twilio_host)):
            raise ValueError(
                "OTP_TEST_NUMBERS lets in whoever knows a number and its code; "
                "empty it, or set OTP_ALLOW_TEST_NUMBERS=true to have it without TWILIO_BASE_URL on loopback"
            )
        for number, _ in self.otp_test_numbers:
            try:
                parse_number(number, frozenset(self.otp_countries))
            except (InvalidNumber, CountryNotAllowed) as refusal:
                raise ValueError(f"OTP_TEST_NUMBERS has a number that no code is issued for: {refusal}") from None
        return self


class _IsolatedSettings(Settings):
    is_isolated = True


def isolated_settings(**values: Any) -> Settings:
    """Make settings from values alone, for the demo and for tests; what is not given has its default."""
    return _IsolatedSettings(**values)


def load_settings(**overrides: Any) -> Settings:
    """Read files, environment and `.env`. Raises `SettingsRefused` naming each wrong setting, never its value."""
    try:
        return Settings(**overrides)
    except SecretFilesRefused as refusal:
        raise SettingsRefused(str(refusal)) from None
    except ValidationError as failure:
        raise SettingsRefused("\n".join(_sentence(error) for error in failure.errors(include_input=False))) from None


def missing_to_serve(settings: Settings) -> list[str]:
    """List, in sentences, what must be set before real messages can be sent."""
    missing = []
    if not _is_twilio_sid("AC", settings.twilio_account_sid):
        missing.append("Set TWILIO_ACCOUNT_SID to your account's SID (AC and 32 hex digits).")
    if not settings.twilio_auth_token and settings.twilio_api_key is None:
        missing.append("Set TWILIO_AUTH_TOKEN, or TWILIO_API_KEY and TWILIO_API_SECRET.")
    if settings.twilio_api_key is not None and not _is_twilio_sid("SK", settings.twilio_api_key):
        missing.append("Set TWILIO_API_KEY to the key's SID (SK and 32 hex digits).")
    if not settings.twilio_messaging_service_sid and not settings.twilio_from:
        missing.append("Set TWILIO_MESSAGING_SERVICE_SID (MG…) or TWILIO_FROM (a number of yours).")
    if settings.twilio_messaging_service_sid and not _is_twilio_sid("MG", settings.twilio_messaging_service_sid):
        missing.append("Set TWILIO_MESSAGING_SERVICE_SID to the service's SID (MG and 32 hex digits).")
    if settings.twilio_from and not _SENDER.fullmatch(settings.twilio_from):
        missing.append("Set TWILIO_FROM to an E.164 number, a short code or a sender name of at most 11 characters.")
    if settings.otp_public_url and not (settings.twilio_auth_token or settings.twilio_webhook_keys):
        missing.append("Set TWILIO_AUTH_TOKEN too, or TWILIO_WEBHOOK_KEYS: they prove the callbacks to OTP_PUBLIC_URL.")
    return missing + weak_secrets(settings)


def weak_secrets(settings: Settings) -> list[str]:
    """List, in sentences, which keys are absent, too short or placeholders."""
    new = "Make one with: openssl rand -base64 32"
    weak = []
    if not settings.otp_secret_keys:
        weak.append(f"Set OTP_SECRET_KEYS. {new}")
    if any(_is_weak(key.get_secret_value()) for key in settings.otp_secret_keys):
        weak.append(f"OTP_SECRET_KEYS holds a placeholder or a key under {_LEAST_SECRET_CHARACTERS} characters. {new}")
    if settings.otp_index_key is None:
        weak.append(f"Set OTP_INDEX_KEY, and never change it afterwards. {new}")
    elif _is_weak(settings.otp_index_key.get_secret_value()):
        weak.append(f"OTP_INDEX_KEY is a placeholder or under {_LEAST_SECRET_CHARACTERS} characters. {new}")
    elif settings.otp_index_key in settings.otp_secret_keys:
        weak.append("OTP_INDEX_KEY must differ from OTP_SECRET_KEYS: the one stays for ever, the others rotate.")
    return weak


def _is_twilio_sid(kind: str, text: str | None) -> bool:
    return re.fullmatch(f"{kind}[0-9a-fA-F]{{32}}", text or "") is not None


def _is_weak(secret: str) -> bool:
    return (
        len(secret) < _LEAST_SECRET_CHARACTERS
        or len(set(secret)) < _LEAST_DISTINCT_CHARACTERS
        or _PLACEHOLDER.search(secret) is not None
    )


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _sentence(error: Any) -> str:
    name = ".".join(str(part) for part in error["loc"][:1]).upper()
    text = error["msg"].removeprefix("Value error, ")
    return f"{name}: {text}." if name else f"{text}."
