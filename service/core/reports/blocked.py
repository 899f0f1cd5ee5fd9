"""Counts a send that is refused before anything is written: by a limit, by a rule, or because of its number.

It is counted before the response says so: at least once, because the request of a lost response is repeated. Its labels
are bounded: each is one of a few, but for the purpose, of which an hour has at most so many (`store/lua/funnel.lua`).
"""

import secrets
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

from service.core.breaker import SendingHalted
from service.core.channels import Channel, ChannelUnavailable, ChannelUnfit
from service.core.issue_policy import ActionUnfit, SenderCannotReceive
from service.core.limiter import ClientIpRequired
from service.core.limits import Limited
from service.core.partitions import PARTITIONS
from service.core.phone import CountryNotAllowed, InvalidNumber, LineTypeNotAllowed
from service.core.sender import Refusal
from service.core.verification import Verification, VerificationRequest, new_id
from service.core.verification_store import NewVerification, VerificationStore

R = TypeVar("R", bound=Exception)

_REASONS: Mapping[type[Exception], str] = MappingProxyType(
    {
        InvalidNumber: Refusal.INVALID_NUMBER,
        CountryNotAllowed: Refusal.COUNTRY_NOT_ALLOWED,
        LineTypeNotAllowed: Refusal.NOT_A_MOBILE_NUMBER,
        ActionUnfit: "invalid_request",
        ChannelUnfit: "invalid_request",
        ChannelUnavailable: "channel_unavailable",
        ClientIpRequired: "client_ip_required",
        SenderCannotReceive: "sender_cannot_receive",
        SendingHalted: "sending_halted",
    }
)
# What refuses a send, of which the limits and the number know nothing.
UNSENT = (ActionUnfit, ChannelUnavailable, ChannelUnfit, ClientIpRequired, SenderCannotReceive, SendingHalted)


async def counted(
    store: VerificationStore, refusal: R, refused: NewVerification | Verification, channel: Channel, *, send_number: int
) -> R:
    """Count a refused send, unless its number is a test number; return the refusal. Raises `StoreUnavailable`."""
    if not refused.is_test:
        reason = _reason(refusal)
        await store.count_blocked(refused.id, refused.request, channel, send_number=send_number, reason=reason)
    return refusal


async def counted_unread(store: VerificationStore, refusal: R, request: VerificationRequest, channel: Channel) -> R:
    """Count a refused send of a verification that has no id, and so no partition: any will do."""
    verification_id = new_id(secrets.choice(PARTITIONS))
    await store.count_blocked(verification_id, request, channel, send_number=1, reason=_reason(refusal))
    return refusal


def _reason(refusal: Exception) -> str:
    return refusal.limit if isinstance(refusal, Limited) else _REASONS[type(refusal)]
