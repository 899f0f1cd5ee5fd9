"""Prices of messages, and the budget of a day: money in whole millionths of one currency, never a float.

A price is that of one message by a channel to a country: of a segment of an SMS, of a WhatsApp message, or of a call.
The prices are the operator's own (`OTP_PRICES`), so what is counted is an estimate of the bill, not the bill.

A price that is not known costs the whole budget: nothing is sent at a price that nobody has named.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from service.core.channels import Channel
from service.core.limits import Limits
from service.core.phone import REGIONS

ANY = "*"
DAY_MS = 86_400_000
MILLIONTHS = 1_000_000
_AMOUNT = re.compile(r"([0-9]{1,8})(?:\.([0-9]{1,6}))?")
_CURRENCY = re.compile("[A-Z]{3}")
_CHANNELS = ("sms", "whatsapp", "voice", ANY)


class Money(NamedTuple):
    """An amount of a currency."""

    millionths: int
    currency: str

    def __str__(self) -> str:
        """Write the amount as it is read: `12.5 USD`."""
        return f"{written_amount(self.millionths)} {self.currency}"


def read_amount(text: str) -> int:
    """Read `0.0083` as millionths. Raises `ValueError` with a sentence."""
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise ValueError("write an amount such as 0.0083: at most 8 digits, and 6 after the point")
    return int(match[1]) * MILLIONTHS + int((match[2] or "").ljust(6, "0"))


def written_amount(millionths: int) -> str:
    """Write millionths as `read_amount` reads them."""
    whole, part = divmod(millionths, MILLIONTHS)
    return f"{whole}.{part:06}".rstrip("0").rstrip(".")


def read_money(text: str) -> Money:
    """Read `250 USD`. Raises `ValueError` with a sentence."""
    amount, _, currency = text.partition(" ")
    if _CURRENCY.fullmatch(currency.strip()) is None or _AMOUNT.fullmatch(amount) is None:
        raise ValueError("write an amount and its currency, such as 250 USD")
    return Money(read_amount(amount), currency.strip())


@dataclass(frozen=True, slots=True)
class Prices:
    """What one message costs, by country and channel; `*` stands for any."""

    currency: str
    millionths: Mapping[tuple[str, str], int] = field(hash=False)

    def of(self, country: str, channel: str) -> int | None:
        """Return the price of one message in millionths: the row that says most; None if there is no row for it."""
        for place in ((country, channel), (country, ANY), (ANY, channel), (ANY, ANY)):
            if place in self.millionths:
                return self.millionths[place]
        return None


class Budget(NamedTuple):
    """How much may be spent within 24 hours, and what messages cost."""

    most: int  # millionths
    prices: Prices

    @property
    def limits(self) -> Limits:
        """The budget as a limit."""
        return Limits(((self.most, DAY_MS),))

    def cost(self, country: str, channel: Channel, messages: int) -> int:
        """Return what a send costs. A price that is not known costs more than all of the budget."""
        price = self.prices.of(country, channel)
        return self.most + 1 if price is None else price * messages


class BudgetUse(NamedTuple):
    """What has been spent of a budget within the last 24 hours."""

    used: int  # millionths
    most: int
    currency: str


def read_prices(text: str) -> Prices:
    """Read a file of prices. Raises `ValueError` with a sentence that names the line."""
    rows = _rows(text)
    number, first = next(rows, (1, []))
    if len(first) != 2 or first[0] != "currency" or not _CURRENCY.fullmatch(first[1]):  # noqa: PLR2004 - two words
        raise ValueError(f"line {number}: write the currency first, such as currency,USD")
    prices: dict[tuple[str, str], int] = {}
    for number, row in rows:
        if row == ["country", "channel", "price"]:
            continue
        try:
            place, price = _price(row)
        except ValueError as refusal:
            raise ValueError(f"line {number}: {refusal}") from None
        if place in prices:
            raise ValueError(f"line {number}: {','.join(place)} has a price already")
        prices[place] = price
    if not prices:
        raise ValueError("it has no price; write lines such as US,sms,0.0083 and *,*,0.10")
    return Prices(first[1], prices)


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each line that has something before `#`, with its number."""
    for number, line in enumerate(text.splitlines(), 1):
        content = line.partition("#")[0].strip()
        if content:
            yield number, [part.strip() for part in content.split(",")]


def _price(row: list[str]) -> tuple[tuple[str, str], int]:
    if len(row) != 3:  # noqa: PLR2004 - as the sentence says
        raise ValueError("write country,channel,price, such as US,sms,0.0083")
    country, channel, price = row
    if country != ANY and country not in REGIONS:
        raise ValueError("the country is no region; write two capital letters such as US, or * for any")
    if channel not in _CHANNELS:
        raise ValueError(f"the channel is none of {', '.join(_CHANNELS)}")
    return (country, channel), read_amount(price)
