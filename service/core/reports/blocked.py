"""Counts a send that is refused before anything is written, by a limit or because of its country.

It is counted before the response says so: at least once, because the request of a lost response is repeated.
"""

from service.core.channels import Channel
from service.core.limits import Limited
from service.core.phone import CountryNotAllowed
from service.core.verification import Verification
from service.core.verification_store import NewVerification, VerificationStore

COUNTRY_NOT_ALLOWED = "country_not_allowed"


async def counted(
    store: VerificationStore,
    refusal: Limited | CountryNotAllowed,
    refused: NewVerification | Verification,
    channel: Channel,
    *,
    send_number: int,
) -> Limited | CountryNotAllowed:
    """Count a refused send, unless its number is a test number; return the refusal. Raises `StoreUnavailable`."""
    if not refused.is_test:
        reason = refusal.limit if isinstance(refusal, Limited) else COUNTRY_NOT_ALLOWED
        await store.count_blocked(refused.id, refused.request, channel, send_number=send_number, reason=reason)
    return refusal
