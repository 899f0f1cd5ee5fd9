"""The settings that protect the bill: which numbers get messages, and how many."""

from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings

from service.config import forms, number_forms, price_forms
from service.config.forms import LimitSpec, Switch
from service.core.limits import UNLIMITED, parse_limits
from service.core.phone import LineType, NumberPolicy
from service.core.prices import Budget


class LimitSettings(BaseSettings):
    """Who may get a message, and how often."""

    otp_countries: forms.Countries = (
        "US", "CA", "GB", "IE", "DE", "AT", "CH", "FR", "ES", "IT", "NL", "BE", "AU", "NZ",
    )  # fmt: skip
    otp_countries_whatsapp: forms.Countries = ()
    otp_countries_voice: forms.Countries = ()
    otp_extra_prefixes: number_forms.ExtraPrefixes = ()
    otp_line_types: number_forms.LineTypes = tuple(LineType)
    otp_limit_number: LimitSpec = parse_limits("1/30s,5/10m,10/1d")
    otp_limit_failed_checks: LimitSpec = parse_limits("20/1d")
    otp_limit_ip: LimitSpec = parse_limits("30/10m,200/1d")
    otp_limit_prefix: LimitSpec = parse_limits("100/1h")
    otp_limit_country: LimitSpec = parse_limits("5000/1h")
    otp_limit_day: LimitSpec = parse_limits("50000/1d")
    otp_limit_key: LimitSpec = parse_limits("10000/1h")
    otp_limit_sms: LimitSpec = UNLIMITED
    otp_limit_whatsapp: LimitSpec = UNLIMITED
    otp_limit_voice: LimitSpec = parse_limits("60/1h,300/1d")  # calls to costly numbers earn an attacker most
    otp_prices: price_forms.PriceFile = None
    otp_budget_day: price_forms.DayBudget = None
    otp_limit_peer: LimitSpec = parse_limits("60/1m")
    otp_limit_link: LimitSpec = parse_limits("300/1m")
    otp_require_client_ip: Switch = False
    otp_test_numbers: number_forms.TestNumbers = Field((), repr=False)
    otp_allow_test_numbers: Switch = False

    @property
    def numbers(self) -> NumberPolicy:
        """The numbers that codes may be sent to by some channel."""
        by_channel = self.countries.values()
        countries = frozenset[str]().union(*by_channel) if all(by_channel) else frozenset[str]()
        return NumberPolicy(countries, frozenset(self.otp_line_types), dict(self.otp_extra_prefixes))

    @property
    def countries(self) -> dict[str, frozenset[str]]:
        """The countries of each channel; none: everywhere."""
        of_all = self.otp_countries
        return {
            "sms": frozenset(of_all),
            "whatsapp": frozenset(self.otp_countries_whatsapp or of_all),
            "voice": frozenset(self.otp_countries_voice or of_all),
        }

    @property
    def budget(self) -> Budget | None:
        """The budget of a day with its prices."""
        if self.otp_budget_day is None or self.otp_prices is None:
            return None
        return Budget(self.otp_budget_day.millionths, self.otp_prices)

    @model_validator(mode="after")
    def _budget_has_prices(self) -> Self:
        budget, prices = self.otp_budget_day, self.otp_prices
        if budget is None:
            return self
        if prices is None:
            raise ValueError("OTP_BUDGET_DAY needs OTP_PRICES: set both or neither")
        if budget.currency != prices.currency:
            raise ValueError(f"OTP_BUDGET_DAY is in {budget.currency}, but OTP_PRICES in {prices.currency}: use one")
        return self
