"""Links in Redis: one key each, from the digest of a token to the id of its verification.

The scripts that write a send write its link too; `link.lua` reads what it leads to, and `links.lua` says how its name
follows from the record.
"""

from service.core.keyring import Keyring
from service.core.links import LinkedVerification
from service.store import keys as redis_keys
from service.store.record import Records
from service.store.refusals import refused
from service.store.scripts import Scripts
from service.store.verifications import RecordPolicy


class RedisLinks:
    """The `LinkStore` of the core."""

    def __init__(self, scripts: Scripts, keyring: Keyring, policy: RecordPolicy) -> None:
        self._scripts = scripts
        self._supersede_codes = int(policy.supersede_codes)
        self._records = Records(keyring, scripts.fields)

    async def linked(self, partition: str, digest: bytes) -> LinkedVerification:
        """Read what a link leads to."""
        answer, *rest = await self._scripts.run(
            "link",
            [redis_keys.link(partition, digest)],
            [redis_keys.verification_prefix(partition), digest, self._supersede_codes],
        )
        if answer != b"linked":
            raise refused("link", answer)
        raw_id, send_number, is_current, *record = rest
        return LinkedVerification(self._records.read(raw_id.decode(), *record), send_number, bool(is_current))
