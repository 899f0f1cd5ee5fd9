"""Which answers are expected of a number, as `expected.lua` finds them by the index of the number."""

from collections.abc import Sequence

from service.core.actions import Action
from service.core.inbound import Expected
from service.core.keyring import NumberIndex
from service.core.verification import ID_PREFIX
from service.store import keys as redis_keys
from service.store.refusals import refused
from service.store.scripts import Scripts


class RedisExpectations:
    """The `Expectations` of the core."""

    def __init__(self, scripts: Scripts, *, max_attempts: int) -> None:
        self._scripts = scripts
        self._max_attempts = max_attempts

    async def expected(self, number: NumberIndex, action: Action, answer_tag: str) -> Sequence[Expected]:
        """List the verifications that may be answered, newest first."""
        answer, *listed = await self._scripts.run(
            "expected",
            [redis_keys.number(number.partition, number.tag)],
            [
                redis_keys.verification_prefix(number.partition) + ID_PREFIX,
                action,
                self._max_attempts,
                self._scripts.fields.key("check", answer_tag),
            ],
        )
        if answer != b"expected":
            raise refused("expected", answer)
        return [
            Expected(
                f"{ID_PREFIX}{digits.decode()}",
                locale.decode(),
                key_tag.decode() or None,
                owner.decode() or None,
                tuple(digests),
            )
            for digits, locale, key_tag, owner, *digests in reversed(listed)
        ]
