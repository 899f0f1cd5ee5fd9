"""The promises of `service.core.prices`: exact money, the row that says most, and refusals that name the line."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.channels import Channel
from service.core.prices import Budget, Money, Prices, read_amount, read_money, read_prices, written_amount

FILE = """\
# as of 2026-11, without taxes
currency,USD
country,channel,price
US,sms,0.0083
US,*,0.02
 *, voice ,0.5   # dear
*,*,0.1
"""


@given(st.integers(0, 10**14 - 1))
def test_an_amount_is_read_as_it_is_written(millionths: int) -> None:
    """Every amount that can be written is read again to the millionth."""
    assert read_amount(written_amount(millionths)) == millionths


@given(st.integers(0, 10**8 - 1), st.integers(0, 6), st.data())
def test_an_amount_is_exact(whole: int, places: int, data: st.DataObject) -> None:
    """An amount is what a decimal calculation says, whatever its number of places: no float rounds it."""
    part = data.draw(st.integers(0, 10**places - 1)) if places else 0
    text = f"{whole}.{part:0{places}}" if places else str(whole)
    assert read_amount(text) == Decimal(text) * 1_000_000


@given(
    st.lists(st.tuples(st.sampled_from(["US", "DE", "XK"]), st.integers(0, 10**12), st.integers(1, 10)), max_size=50)
)
def test_the_sum_of_sends_is_exact(sends: list[tuple[str, int, int]]) -> None:
    """What sends cost together is the sum of price by segments, in whole millionths, and fits a script's numbers."""
    costs = [
        Budget(10**14, Prices("USD", {(country, "*"): price})).cost(country, Channel.SMS, segments)
        for country, price, segments in sends
    ]
    assert sum(costs) == sum(price * segments for _, price, segments in sends) < 2**53
    assert all(type(cost) is int for cost in costs)


@pytest.mark.parametrize("text", ["", "1,5", "1.", ".5", "-1", "1e3", "0.0000001", "123456789", "\uff11", "1 ", "nan"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    """An amount in any other form is refused instead of being guessed."""
    with pytest.raises(ValueError, match=r"write an amount such as 0\.0083"):
        read_amount(text)


def test_money_has_its_currency() -> None:
    """An amount without its currency, or with something else, is refused."""
    assert read_money("250.5 USD") == Money(250_500_000, "USD")
    assert str(read_money("250.50 USD")) == "250.5 USD"
    for text in ("250", "USD 250", "250 usd", "250 $", "USD", "250 US D"):
        with pytest.raises(ValueError, match="an amount and its currency"):
            read_money(text)


@pytest.mark.parametrize(
    ("country", "channel", "price"),
    [("US", "sms", 8_300), ("US", "voice", 20_000), ("DE", "voice", 500_000), ("DE", "sms", 100_000)],
)
def test_the_row_that_says_most_counts(country: str, channel: str, price: int) -> None:
    """A price for the country comes before one for the channel, and that before one for all."""
    assert read_prices(FILE).of(country, channel) == price


def test_a_price_that_no_row_has_is_unknown() -> None:
    """Without a row for all, a price may be unknown."""
    prices = read_prices("currency,EUR\nDE,sms,0.07")
    assert (prices.currency, prices.of("DE", "sms")) == ("EUR", 70_000)
    assert prices.of("DE", "voice") is prices.of("FR", "sms") is None


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("", "line 1: write the currency first"),
        ("\n\nUS,sms,1", "line 3: write the currency first"),
        ("currency,usd\nUS,sms,1", "line 1: write the currency first"),
        ("currency,USD", "it has no price"),
        ("currency,USD\n\nUS,sms", "line 3: write country,channel,price"),
        ("currency,USD\nUS,sms,0,08", "line 2: write country,channel,price"),
        ("currency,USD\n*,*,1\nUK,sms,1", "line 3: the country is no region"),
        ("currency,USD\n# note\nUS,fax,1", "line 3: the channel is none of sms, whatsapp, voice"),
        ("currency,USD\nUS,sms,$1", "line 2: write an amount such as"),
        ("currency,USD\nUS,sms,1\nUS,sms,2", "line 3: US,sms has a price already"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(text: str, refusal: str) -> None:
    """What is wrong in the file is said with the number of its line."""
    with pytest.raises(ValueError, match=refusal):
        read_prices(text)
