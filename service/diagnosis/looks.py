"""What `check` says of API keys with a brand, a sender, a language or texts of their own."""

from service.config.looks import check_look
from service.config.settings import Settings
from service.core.api_keys import read_api_keys
from service.core.store_health import StoreUnavailable
from service.diagnosis.finding import Finding
from service.store.ledgers import RedisApiKeys
from service.store.scripts import Scripts


async def look_findings(settings: Settings, scripts: Scripts) -> list[Finding]:
    """Check them against the settings of today, which may have changed since a key was made."""
    try:
        keys = read_api_keys(await RedisApiKeys(scripts).api_keys())
    except StoreUnavailable:  # the findings already name what keeps Redis from working
        return []
    findings = []
    for key in sorted(keys.values(), key=lambda each: each.name):
        try:
            check_look(key.look, settings)
        except ValueError as refusal:
            text = f"The API key {key.name}: {refusal}. Correct it with otp-service keys update."
            findings.append(Finding("error", text))
    return findings
