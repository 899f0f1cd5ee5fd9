"""The reference: what a careful first version would be. A FastAPI handler, a pydantic body, one redis-py EVALSHA.

It runs the same script on the same records and answers the same facts, without credentials, log or problems.
"""

import os

import redis.asyncio
from fastapi import FastAPI
from pydantic import BaseModel

from service.adapters import redis_keys
from service.adapters.scripts import load_scripts
from service.core.keyring import Keyring
from service.core.verification import partition_of

SCRIPT = load_scripts()["judge"]


class Body(BaseModel):
    """What the person typed."""

    code: str


def create():
    """Build the application."""
    app = FastAPI()
    client = redis.asyncio.Redis.from_url(os.environ["REDIS_URL"], protocol=2)
    keyring = Keyring([os.environ["OTP_SECRET_KEYS"].encode()], os.environ["OTP_INDEX_KEY"].encode())

    @app.post("/v1/verifications/{verification_id}/verify")
    async def verify(verification_id: str, body: Body):
        p = partition_of(verification_id)
        keys = [
            redis_keys.verification(verification_id),
            redis_keys.owed(p),
            redis_keys.owed_info(p),
            redis_keys.stats(p),
        ]
        [digest] = keyring.code_digests(verification_id, body.code)
        prefix, policies = redis_keys.number_prefix(p), ["", 100, ""]
        args = [5, 0, verification_id, prefix, "", "", *policies, "", "0", keyring.key_ids, "", digest]
        answer = await client.evalsha(SCRIPT.sha, len(keys), *keys, *args)
        return {"id": verification_id, "valid": answer[1] == b"approved", "verdict": answer[1].decode()}

    return app
