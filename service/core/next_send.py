"""The next send of a verification: draws its secret and stores the digest, before anything is sent.

Somebody asks for it (`issuing`), or it follows by itself by the next channel of a list (`fallback`).
"""

from collections.abc import Sequence
from contextlib import suppress

from service.core.actions import ACTIONS
from service.core.channels import Channel
from service.core.idempotency import IdempotencyKey
from service.core.issue_policy import IssuePolicy
from service.core.keyring import Keyring
from service.core.payment import bound
from service.core.profiles import Profile
from service.core.reports.blocked import UNSENT, counted
from service.core.reservation import Reservation
from service.core.store_health import StoreUnavailable
from service.core.undoing import Taken
from service.core.verification import Verification, partition_of
from service.core.verification_store import DueFallback, NewVerification, SameCode, VerificationStore, WrittenSend

_DRAWS = 8  # of four digits, with four codes taken: eight draws all miss with probability 1e-27


def draw(keyring: Keyring, issued: NewVerification | Verification, fixed: str | None) -> tuple[str, Sequence[bytes]]:
    """Draw the secret of a send, unless it is that of a test number; digest it with its payment."""
    request, action = issued.request, ACTIONS[issued.request.action]
    length = request.code_length or request.password_length or 0
    match = action.match(keyring, issued.id)
    secret = fixed or action.draw(length, partition_of(issued.id), match)
    return secret, action.digests(keyring, issued.id, bound(secret, issued.payment))


async def admit(
    store: VerificationStore,
    policy: IssuePolicy,
    reservation: Reservation,
    verification: Verification,
    channel: Channel,
    *,
    profile: Profile,
) -> None:
    """Check the channel of the next send, and reserve its limits. A refusal is counted, and raised."""
    refusal: Exception | None
    try:
        policy.check_channel(channel, verification.request, profile, verification.payment)
        refusal = await reservation.ask()
    except UNSENT as unsent:
        refusal = unsent
    if refusal is not None:
        raise await counted(store, refusal, verification, channel, send_number=len(verification.sends) + 1)


async def write_next(
    store: VerificationStore,
    keyring: Keyring,
    verification: Verification,
    channel: Channel,
    taken: Taken,
    *,
    fixed: str | None = None,
    key: IdempotencyKey | None = None,
    due: DueFallback | None = None,
) -> tuple[Verification, str]:
    """Write the next send, and return its secret. Raises what `VerificationStore.resend` raises, but not `SameCode`."""
    tag, is_test = None if key is None else key.tag, fixed is not None
    number_tag = verification.number_tag or keyring.number_tag(verification.to)
    for _ in range(_DRAWS):
        secret, digests = draw(keyring, verification, fixed)
        if not is_test:  # all sends of a test number share one code, which identifies none of them
            taken.send = WrittenSend(verification.id, number_tag, digests[0], len(verification.sends), due)
        with suppress(SameCode):
            write = store.resend(verification, digests, channel, idempotency_tag=tag, is_test=is_test, due=due)
            return await write, secret
    taken.send = None
    raise StoreUnavailable("no fresh code was found")
