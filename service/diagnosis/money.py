"""What `check` says of limits per channel, prices and the budget of a day."""

from service.config.policies import limit_policy, new_keyring
from service.config.settings import Settings, missing_secrets
from service.core.limiter import Limiter
from service.core.phone import REGIONS
from service.core.prices import Budget, written_amount
from service.core.store_health import StoreUnavailable
from service.diagnosis.finding import Finding
from service.store.ledgers import RedisLimits
from service.store.scripts import Scripts

_NEARLY_USED = 0.8


def money_choices(settings: Settings) -> list[Finding]:
    """Warn of settings about money that are legal but unwise."""
    budget = settings.budget
    warnings = {
        "OTP_PRICES is set without OTP_BUDGET_DAY: no money is counted and nothing is refused for its price.": (
            settings.otp_prices is not None and budget is None
        ),
        "OTP_LIMIT_VOICE is empty: nothing but the limits of all channels caps the calls, which cost most.": (
            "voice" in settings.senders and not settings.otp_limit_voice
        ),
    }
    findings = [Finding("warn", text) for text, is_so in warnings.items() if is_so]
    return findings + ([] if budget is None else _too_dear(settings, budget))


def _too_dear(settings: Settings, budget: Budget) -> list[Finding]:
    """Name the countries and channels of which one message already exceeds the budget."""
    dear = [
        f"{channel} to {country}"
        for channel in settings.senders
        for country in sorted(settings.countries[channel] or REGIONS)
        if (budget.prices.of(country, channel) or 0) > budget.most
    ]
    if not dear:
        return []
    text = (
        f"OTP_BUDGET_DAY is less than one message costs ({dear[0]}, and {len(dear) - 1} more): "
        "none of them is ever sent. Raise it, or correct OTP_PRICES."
    )
    return [Finding("warn", text)]


async def budget_use(settings: Settings, scripts: Scripts) -> list[Finding]:
    """Say how much of the budget is used."""
    if settings.budget is None or missing_secrets(settings):
        return []
    limiter = Limiter(RedisLimits(scripts), new_keyring(settings), limit_policy(settings))
    try:
        use = await limiter.budget_use()
    except StoreUnavailable:  # the findings already name what keeps Redis from working
        return []
    if use is None:
        return []
    amounts = f"{written_amount(use.used)} of {written_amount(use.most)} {use.currency}"
    if use.used >= use.most * _NEARLY_USED:
        text = f"The budget is nearly used up: {amounts} within 24 hours. Above it sends get 429."
        return [Finding("warn", text)]
    return [Finding("ok", f"Of the budget, {amounts} are used within 24 hours.")]
