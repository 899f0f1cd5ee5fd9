"""What `check` says of the outbox: confirmations that failed for good, and whether a worker is alive to post them."""

from service.config.settings import Settings
from service.core.store_health import StoreUnavailable
from service.diagnosis.finding import Finding
from service.store.confirmations import open_confirmations
from service.store.outbox import OutboxState
from service.store.scripts import Scripts


async def outbox_findings(settings: Settings, scripts: Scripts) -> list[Finding]:
    """Look at the outbox."""
    try:
        state = await open_confirmations(scripts).state()
    except StoreUnavailable:  # the findings already name what keeps Redis from working
        return []
    text = f"Confirmations have failed for good ({state.failed}): otp-service outbox failed says why."
    failed = [Finding("warn", text)] if state.failed else []
    return failed if state.is_worked else [*failed, _no_worker(settings, state)]


def _no_worker(settings: Settings, state: OutboxState) -> Finding:
    """Say what runs a worker. Before the first start of `serve`, which runs one, there is no harm in having none."""
    if state.pending:
        wait = "1 confirmation waits" if state.pending == 1 else f"{state.pending} confirmations wait"
        text = f"No worker is alive, and {wait}: run otp-service serve or otp-service worker."
        return Finding("warn", text)
    if not settings.otp_worker:
        text = "No worker is alive, and OTP_WORKER is false: run otp-service worker, or nothing is confirmed."
        return Finding("warn", text)
    return Finding("ok", "No worker is alive: otp-service serve runs one.")
