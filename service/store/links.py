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


class RedisLinks:
    """The `LinkStore` of the core."""

    def __init__(self, scripts: Scripts, keyring: Keyring) -> None:
        self._scripts = scripts
        self._records = Records(keyring, scripts.fields)

    async def linked(self, partition: str, digest: bytes) -> LinkedVerification:
        """Read what a link leads to."""
        answer, *rest = await self._scripts.run(
            "link",
            [redis_keys.link(partition, digest)],
            [redis_keys.verification_prefix(partition), digest],
        )
        if answer != b"linked":
            raise refused("link", answer)
        raw_id, send_number, *record = rest
        return LinkedVerification(self._records.read(raw_id.decode(), *record), send_number)
