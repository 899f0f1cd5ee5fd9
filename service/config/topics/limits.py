"""The settings that protect the bill: which numbers get messages, and how many."""

from pydantic import Field
from pydantic_settings import BaseSettings

from service.config import forms, number_forms
from service.config.forms import LimitSpec, Switch
from service.core.limits import parse_limits
from service.core.phone import LineType, NumberPolicy


class LimitSettings(BaseSettings):
    """Who may get a message, and how often."""

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

    @property
    def numbers(self) -> NumberPolicy:
        """The numbers that codes may be sent to."""
        return NumberPolicy(
            frozenset(self.otp_countries), frozenset(self.otp_line_types), dict(self.otp_extra_prefixes)
        )
