"""Parses the settings about money: the file of prices and the budget of a day, as `core.prices` reads them."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, InstanceOf
from pydantic_settings import NoDecode

from service.config.text_files import read_text
from service.core.phone import REGIONS
from service.core.prices import Money, Prices, read_money, read_prices

_MOST_NAMED = 5


def _parse_prices(value: Any) -> Any:
    if not isinstance(value, str | Path):
        return value
    return read_prices(read_text(value)) if str(value) else None


def _parse_budget(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if not value:
        return None
    budget = read_money(value)
    if not budget.millionths:
        raise ValueError("write an amount above 0, or leave it empty for no budget")
    return budget


def check_prices(prices: Prices, channel: str, countries: Collection[str]) -> None:
    """Refuse prices that lack one which a send may need; no countries: every one. Raises `ValueError`."""
    unknown = [country for country in sorted(countries or REGIONS) if prices.of(country, channel) is None]
    if unknown:
        named = ", ".join(unknown[:_MOST_NAMED]) + (" and others" if len(unknown) > _MOST_NAMED else "")
        raise ValueError(
            f"OTP_PRICES has no price of {channel} to {named}, and OTP_BUDGET_DAY needs every price; "
            f"add them, or one for all others: *,{channel},PRICE"
        )


PriceFile = Annotated[InstanceOf[Prices] | None, NoDecode, BeforeValidator(_parse_prices)]
DayBudget = Annotated[InstanceOf[Money] | None, NoDecode, BeforeValidator(_parse_budget)]
