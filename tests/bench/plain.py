"""The reference: a careful first version. A FastAPI handler, a pydantic body, one redis-py EVALSHA.

It runs the same script on the same records and returns the same facts, without credentials, log or problems.
"""

import contextlib
import os

import redis.asyncio
from check_script import SCRIPT, check_call
from fastapi import FastAPI
from pydantic import BaseModel

from service.core.keyring import Keyring


class Body(BaseModel):
    """The code that a person submits."""

    code: str


def create():
    """Build the application."""
    # A connection for each concurrent request: with the default of 100 every further one would fail.
    client = redis.asyncio.Redis.from_url(os.environ["REDIS_URL"], protocol=2, max_connections=1_000)
    keyring = Keyring([os.environ["OTP_SECRET_KEYS"].encode()], os.environ["OTP_INDEX_KEY"].encode())

    @contextlib.asynccontextmanager
    async def lifespan(_):
        await client.script_load(SCRIPT.text)
        yield
        await client.aclose()

    app = FastAPI(lifespan=lifespan)

    @app.post("/v1/verifications/{verification_id}/verify")
    async def verify(verification_id: str, body: Body):
        keys, args = check_call(keyring, verification_id, body.code)
        response = await client.evalsha(SCRIPT.sha, len(keys), *keys, *args)
        return {"id": verification_id, "valid": response[1] == b"approved", "verdict": response[1].decode()}

    return app
