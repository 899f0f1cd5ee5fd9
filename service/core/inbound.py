"""What people send to us: their replies to messages, and the keys that they press when they call.

A reply is about the verifications of its sender's number: the newest ten of them, those of its action that still have a
record. The secret decides which of them it answers. If it is right for one, that one is checked; otherwise the reply is
wrong for each of them, and costs each an attempt. Which secret leads to which send never changes, so it is found first
and checked afterwards, by `check.lua`, in one step, like every check.

The sender's number can be forged, so it only says where to look: failed replies do not count towards the limits of the
number. A message that the provider delivers twice is decided once, and has the same results again. The right words with
no other word of the list, as when the message itself is sent back, confirm the receipt and cost nothing. A stranger's
message changes nothing: it costs one round trip, creates no key and uses up no limit.
"""

import asyncio
import hmac
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from service.core.actions import ACTIONS, Action, call, reply
from service.core.keyring import Keyring, NumberIndex
from service.core.phone import InvalidNumber, canonical_number
from service.core.profiles import Profiles
from service.core.verification import CheckResult, partition_of
from service.core.verification_store import Check, Matching, UnknownVerification, VerificationStore


class Expected(NamedTuple):
    """A verification that may be answered: its attempts are not used up, or it has had this answer before."""

    id: str
    locale: str
    key_tag: str | None  # of the API key that issued it
    owner: str | None
    digests: tuple[bytes, ...]  # of the secrets of its sends


class Awaited(NamedTuple):
    """How to speak to somebody who calls."""

    locale: str
    brand: str


class Expectations(Protocol):
    """Knows which answers are expected of a number."""

    async def expected(self, number: NumberIndex, action: Action, answer_tag: str) -> Sequence[Expected]:
        """List the verifications of this action that may be answered, newest first, in one step that changes nothing.

        If some of them have had this answer before, they alone are listed, also without attempts left: its verdicts are
        to be repeated. Raises `StoreUnavailable`.
        """


class MatchingOf(Protocol):
    """Tells how an answer compares with the match of a verification, given whether its secret is right."""

    def __call__(self, match: str | None, *, is_right: bool) -> Matching:
        """Compare."""


class Inbound:
    """Decides what people send to us."""

    def __init__(
        self,
        store: VerificationStore,
        expectations: Expectations,
        keyring: Keyring,
        profiles: Profiles,
        *,
        wake: Callable[[str], None],
    ) -> None:
        self._store = store
        self._expectations = expectations
        self._keyring = keyring
        self._profiles = profiles
        self._wake = wake

    async def reply(self, number: str, body: str, message_id: str) -> list[CheckResult]:
        """Decide a reply; return the result of each verification that it was compared with, often of none.

        Raises `StoreUnavailable`; then the same message may be given again.
        """
        found = reply.read_answer(body)
        if found is None:
            return []
        without = Matching.ABSENT if len(found.words) == reply.SECRET_WORDS else Matching.MISMATCHED

        def matching(match: str | None, *, is_right: bool) -> Matching:
            if match in found.words:
                return Matching.MATCHED
            return without if is_right else Matching.MISMATCHED

        return await self._decide(Action.REPLY, number, message_id, found.pairs, matching)

    async def awaits_call(self, number: str) -> Awaited | None:
        """Tell for whom and in which language to answer a call of a number; None if no verification expects one.

        The newest verification decides. Raises `StoreUnavailable`.
        """
        for newest in await self._expected(Action.CALL, number, ""):
            profile = await self._profiles.of(newest.key_tag, newest.owner)
            return Awaited(newest.locale, profile.texts.brand)
        return None

    async def keys(self, number: str, keys: str, answer_id: str) -> list[CheckResult]:
        """Decide the keys of a call; return the result of each verification that they were compared with.

        Raises `StoreUnavailable`; then the same keys may be given again.
        """
        keyed = call.read_keys(keys)
        if keyed is None:
            return []

        def matching(match: str | None, *, is_right: bool) -> Matching:  # noqa: ARG001 - six digits alone are no repetition
            return Matching.MATCHED if match == keyed.match else Matching.MISMATCHED

        return await self._decide(Action.CALL, number, answer_id, [keyed.digits], matching)

    async def _expected(self, action: Action, number: str, answer_tag: str) -> Sequence[Expected]:
        try:
            index = self._keyring.number_index(canonical_number(number))
        except InvalidNumber:  # a short code, or somebody who has no number
            return []
        return await self._expectations.expected(index, action, answer_tag)

    async def _decide(
        self,
        action: Action,
        number: str,
        answer_id: str,
        secrets: Sequence[str],
        matching: MatchingOf,
    ) -> list[CheckResult]:
        answer_tag = self._keyring.idempotency_tag("inbound", answer_id)
        expected = await self._expected(action, number, answer_tag)
        right = {each.id: self._right(action, each, secrets) for each in expected}
        answered = {verification_id: digests for verification_id, digests in right.items() if digests} or right
        checks = [
            Check(
                verification_id,
                digests,
                action=action,
                matching=matching(self._match(action, verification_id), is_right=bool(right[verification_id])),
                idempotency_key=answer_tag,
                is_forgeable=True,
            )
            for verification_id, digests in answered.items()
        ]
        results = await asyncio.gather(*map(self._check, checks))
        return [result for result in results if result is not None]

    def _right(self, action: Action, expected: Expected, secrets: Iterable[str]) -> tuple[bytes, ...]:
        """Return the digests, among those of the given secrets, that a send of a verification has."""
        given = [digest for each in secrets for digest in ACTIONS[action].digests(self._keyring, expected.id, each)]
        return tuple(each for each in given if any(hmac.compare_digest(each, known) for known in expected.digests))

    def _match(self, action: Action, verification_id: str) -> str | None:
        return ACTIONS[action].match(self._keyring, verification_id)

    async def _check(self, check: Check) -> CheckResult | None:
        try:
            result = await self._store.check(check)
        except UnknownVerification:  # it expired, or was erased, between the two steps
            return None
        if result.enqueued:
            self._wake(partition_of(check.verification_id))
        return result
