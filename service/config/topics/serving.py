"""The settings of the process: Redis, its keys, connections, files and the log."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings

from service.config import forms
from service.config.forms import Count, Optional, Span, Switch
from service.redis_client import read_url


class ServingSettings(BaseSettings):
    """Where the service keeps its state, and how it serves."""

    redis_url: Optional = Field(None, repr=False)  # may contain a password
    otp_wait_replicas: int = Field(0, ge=0, le=10)
    otp_wait_ms: int = Field(500, ge=10, le=5000)
    otp_wait_issues: Switch = True
    otp_secret_keys: forms.Keys = ()
    otp_index_key: forms.OptionalKey = None
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
    otp_worker: Switch = True
    otp_secrets_dir: Optional = None
    otp_data_dir: forms.Folder = Path("data")
    otp_docs: Switch = True
    otp_metrics_key: Switch = False
    otp_log_level: Annotated[str, forms.one_of("debug", "info", "warning", "error")] = "info"

    @field_validator("redis_url")
    @classmethod
    def _redis_url_is_understood(cls, value: str | None) -> str | None:
        if value is not None:
            read_url(value)
        return value

    @model_validator(mode="after")
    def _keys_and_origins_agree(self) -> Self:
        if "*" in self.otp_cors_origins and len(self.otp_cors_origins) > 1:
            raise ValueError("OTP_CORS_ORIGINS is * or a list of origins, not both")
        if self.otp_wait_replicas and self.redis_url is None:
            raise ValueError("OTP_WAIT_REPLICAS needs REDIS_URL: the embedded server has no replicas")
        if self.otp_index_key in self.otp_secret_keys:
            raise ValueError(
                "OTP_INDEX_KEY must differ from OTP_SECRET_KEYS, because it never changes and they are rotated"
            )
        return self
