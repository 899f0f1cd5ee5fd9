"""Lost messages in Redis: `lookups`, a sorted set per partition of the sends to look up at Twilio.

The score of a send is when its next lookup is due (ms). `check.lua` adds a send whose code is typed while its SID is
unknown, `deliver.lua` removes it when the SID comes, `look_up.lua` claims it.
"""

import asyncio

from service.core.keyring import Keyring
from service.core.lost_messages import LookupOutcome, LostMessage
from service.core.partitions import PARTITIONS
from service.core.verification import partition_of
from service.store import keys as redis_keys
from service.store.record import Records
from service.store.scripts import Scripts

_PAUSE_MS = 10 * 60 * 1000
_MOST_LOOKS = 2


class RedisLostMessages:
    """The `LostMessageStore` of the core."""

    def __init__(self, scripts: Scripts, keyring: Keyring) -> None:
        self._scripts = scripts
        self._keyring = keyring
        self._records = Records(keyring, scripts.fields)

    async def claim(self, partition: str) -> LostMessage | None:
        """Claim one send that is due for a lookup."""
        answer, *rest = await self._scripts.run(
            "look_up",
            [redis_keys.lookups(partition)],
            [redis_keys.verification_prefix(partition), self._keyring.key_ids, _PAUSE_MS, _MOST_LOOKS],
        )
        if answer == b"nothing":
            return None
        raw_id, send_number, sent_at_ms, sealed, claimed_until_ms, payment, *digests = rest
        verification_id = raw_id.decode()
        return LostMessage(
            verification_id,
            send_number,
            self._records.number(verification_id, sealed),
            sent_at_ms,
            frozenset(digests),
            claimed_until_ms,
            self._records.payment(verification_id, payment),
        )

    async def looked_up(self, lost: LostMessage, outcome: LookupOutcome, *, again_in_ms: int = 0) -> None:
        """Count the outcome of a lookup; one that failed is given back."""
        partition = partition_of(lost.verification_id)
        await self._scripts.run(
            "looked_up",
            [
                redis_keys.lookups(partition),
                redis_keys.verification(lost.verification_id),
                redis_keys.stats(partition),
            ],
            [lost.verification_id, lost.send_number, lost.claimed_until_ms, outcome, again_in_ms],
        )


async def count_awaiting_sid(scripts: Scripts) -> int:
    """Count the sends whose code was typed and whose SID is unknown, in one pipelined round trip."""
    keys = map(redis_keys.awaiting_sid, PARTITIONS)
    return sum(await asyncio.gather(*(scripts.run("awaiting_sid", [key]) for key in keys)))
