"""The promises of the settings about money and channels: refused at the start when a price could be missing."""

import pytest

from service.config.settings import SettingsRefused, isolated_settings, load_settings
from service.core.limits import UNLIMITED, parse_limits

USUAL = "currency,USD\n*,*,0.10\n"


@pytest.fixture
def load(tmp_path):
    """Return a function that loads settings with a file of prices."""

    def read(prices=USUAL, **values):
        file = tmp_path / "prices.csv"
        file.write_bytes(prices if isinstance(prices, bytes) else prices.encode())
        return load_settings(_env_file=None, otp_prices=str(file), **values)

    return read


def refused(load, *args, **values):
    """Return the sentence with which the settings are refused."""
    with pytest.raises(SettingsRefused) as refusal:
        load(*args, **values)
    return str(refusal.value)


def test_a_budget_and_its_prices_are_read(load):
    """The budget is read in millionths of the currency of the prices."""
    settings = load(otp_budget_day="250.5 USD")
    assert (settings.budget.most, settings.budget.prices.of("US", "sms")) == (250_500_000, 100_000)
    assert load().budget is load_settings(_env_file=None).budget is None


@pytest.mark.parametrize(
    ("prices", "values", "sentence"),
    [
        (USUAL + "US,sms,x", {}, "OTP_PRICES: line 3: write an amount such as 0.0083"),
        (b"currency,USD\n*,*,1 # \xff", {}, "OTP_PRICES: the file is not UTF-8"),
        (USUAL, {"otp_budget_day": "250"}, "OTP_BUDGET_DAY: write an amount and its currency, such as 250 USD"),
        (USUAL, {"otp_budget_day": "0 USD"}, "OTP_BUDGET_DAY: write an amount above 0, or leave it empty"),
        (USUAL, {"otp_budget_day": "9 EUR"}, "OTP_BUDGET_DAY is in EUR, but OTP_PRICES in USD: use one"),
        (
            "currency,USD\nUS,sms,1",
            {"otp_budget_day": "9 USD", "otp_countries": "US,DE,FR"},
            "OTP_PRICES has no price of sms to DE, FR, and OTP_BUDGET_DAY needs every price",
        ),
        (
            "currency,USD\n*,sms,1",
            {"otp_budget_day": "9 USD", "otp_countries": "US", "twilio_voice_from": "+14155550100"},
            "OTP_PRICES has no price of voice to US",
        ),
        (
            "currency,USD\nUS,sms,1",
            {"otp_budget_day": "9 USD", "otp_countries": ""},
            "OTP_PRICES has no price of sms to AC, AD, AE, AF, AG and others",
        ),
    ],
)
def test_money_that_can_never_be_counted_is_refused(load, prices, values, sentence):
    """A wrong file, a budget in another currency, or a price that a send may need and nobody named stops the start."""
    assert sentence in refused(load, prices, **values)


def test_a_budget_without_prices_is_refused():
    """A budget alone could count nothing."""
    with pytest.raises(SettingsRefused, match="OTP_BUDGET_DAY needs OTP_PRICES: set both or neither"):
        load_settings(_env_file=None, otp_budget_day="9 USD")


def test_prices_without_a_budget_may_have_gaps(load):
    """Without a budget no price is needed."""
    assert load("currency,USD\nUS,sms,1").budget is None


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    """A file of prices that is not there stops the start."""
    with pytest.raises(SettingsRefused, match="OTP_PRICES: the file cannot be read: No such file"):
        load_settings(_env_file=None, otp_prices=str(tmp_path / "none.csv"))


def test_a_channel_has_the_countries_of_all_or_its_own():
    """A channel without countries of its own has those of `OTP_COUNTRIES`; numbers of every channel's are read."""
    settings = isolated_settings(otp_countries=("US", "DE"), otp_countries_voice=("US", "BR"))
    assert settings.countries == {"sms": {"US", "DE"}, "whatsapp": {"US", "DE"}, "voice": {"US", "BR"}}
    assert settings.numbers.countries == {"US", "DE", "BR"}
    everywhere = isolated_settings(otp_countries=(), otp_countries_voice=("US",))
    assert (everywhere.countries["sms"], everywhere.numbers.countries) == (set(), set())


def test_calls_have_a_careful_limit():
    """Of the channels, calls alone are limited unless the operator chooses."""
    settings = isolated_settings()
    assert (settings.otp_limit_sms, settings.otp_limit_whatsapp) == (UNLIMITED, UNLIMITED)
    assert settings.otp_limit_voice == parse_limits("60/1h,300/1d")
