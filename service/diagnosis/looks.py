"""What `check` says of API keys with a brand, a sender, a language or texts of their own."""

from collections.abc import Sequence

from service.config.looks import check_look
from service.config.settings import Settings
from service.core.api_keys import ApiKey, read_api_keys
from service.core.store_health import StoreUnavailable
from service.diagnosis.finding import Finding
from service.store.ledgers import RedisApiKeys
from service.store.scripts import Scripts


async def kept_keys(scripts: Scripts) -> Sequence[ApiKey]:
    """Read the API keys, by name; none if Redis does not work, which other findings say."""
    try:
        keys = read_api_keys(await RedisApiKeys(scripts).api_keys())
    except StoreUnavailable:
        return []
    return sorted(keys.values(), key=lambda each: each.name)


def look_findings(settings: Settings, keys: Sequence[ApiKey]) -> list[Finding]:
    """Check them against the settings of today, which may have changed since a key was made."""
    findings = []
    for key in keys:
        try:
            check_look(key.look, settings)
        except ValueError as refusal:
            text = f"The API key {key.name}: {refusal}. Correct it with otp-service keys update."
            findings.append(Finding("error", text))
    return findings
