"""Links: what the page of a link shows, and what the person does there.

To look changes nothing: scanners and previewers open links. Only a match that is typed, or "It wasn't me", is decided:
in `check.lua`, in one step, like every check. Both also confirm the receipt of the message, once, whatever they come
to: a person has opened the link. A malformed match never reaches the store.

The first character of a token names its partition, so finding the verification takes one round trip. What a token leads
to never changes, so it is found first and checked afterwards.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from service.core.actions import Action, link
from service.core.event_log import EventLog
from service.core.keyring import Keyring
from service.core.verification import CheckResult, Verdict, Verification, partition_of
from service.core.verification_store import Check, Matching, UnknownVerification, VerificationStore


class LinkedVerification(NamedTuple):
    """What the token of a link leads to."""

    verification: Verification
    send_number: int


class LinkStore(Protocol):
    """Finds links."""

    async def linked(self, partition: str, digest: bytes) -> LinkedVerification:
        """Read what a link leads to, in one step. Raises `UnknownVerification`, `StoreUnavailable`."""


class Links:
    """Looks at links, and decides what people do with them. All return None for an unknown token.

    All raise `StoreUnavailable`.
    """

    def __init__(
        self,
        store: VerificationStore,
        links: LinkStore,
        keyring: Keyring,
        *,
        wake: Callable[[str], None],
        event_log: EventLog,
    ) -> None:
        self._store = store
        self._links = links
        self._keyring = keyring
        self._wake = wake
        self._event_log = event_log

    async def look(self, token: str) -> LinkedVerification | None:
        """Read the verification of a link as it stands."""
        try:
            digest = self._keyring.link_digest(link.read(token))
            return await self._links.linked(token[0], digest)
        except (ValueError, UnknownVerification):
            return None

    async def answer(self, token: str, match: str) -> CheckResult | None:
        """Decide a typed match: the right one approves; a wrong one has the verdict `wrong_code` and costs an attempt.

        Raises `ValueError` with a sentence for the person if it is not two digits; nothing is changed then.
        """
        typed, linked = link.read_match(match), await self.look(token)
        if linked is None:
            return None
        is_right = typed == self._keyring.match(linked.verification.id)
        return await self._decide(linked, token, Matching.MATCHED if is_right else Matching.MISMATCHED)

    async def decline(self, token: str) -> Verification | None:
        """End a pending verification: the person did not ask for it. One that has ended keeps its end."""
        linked = await self.look(token)
        result = None if linked is None else await self._decide(linked, token, Matching.DECLINED)
        if result is None:
            return None
        verification = result.verification
        if result.verdict is Verdict.CANCELED:
            self._event_log("verification_canceled", verification_id=verification.id, status=verification.status)
        return verification

    async def _decide(self, linked: LinkedVerification, token: str, matching: Matching) -> CheckResult | None:
        verification_id = linked.verification.id
        digests = link.digests(self._keyring, verification_id, token)
        try:
            result = await self._store.check(Check(verification_id, digests, action=Action.LINK, matching=matching))
        except UnknownVerification:  # it expired, or was erased, between the two steps
            return None
        if result.enqueued:
            self._wake(partition_of(verification_id))
        return result
