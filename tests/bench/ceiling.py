"""The ceiling: the highest throughput of one Python process. A bare ASGI application that checks a code and responds.

It reads the body, digests the code, runs the same script through the service's own Redis client and returns a small
JSON. No framework, no credentials, no log, no validation: none of the promises of the service.
"""

import json
import os

from check_script import SCRIPT, check_call

from service.core.keyring import Keyring
from service.redis_client import open_redis_client

_HEADERS = [(b"content-type", b"application/json")]


def create():
    """Build the application."""
    keyring = Keyring([os.environ["OTP_SECRET_KEYS"].encode()], os.environ["OTP_INDEX_KEY"].encode())
    client = None

    async def app(scope, receive, send):
        nonlocal client
        if scope["type"] == "lifespan":
            await receive()
            client = await open_redis_client(os.environ["REDIS_URL"], client_name="bench")
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await client.close()
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["method"] == "POST":
            await check(scope, receive, send)
        else:
            await answer(send, 404, b"{}")

    async def check(scope, receive, send):
        content = (await receive())["body"]
        verification_id = scope["path"].split("/")[3]
        keys, args = check_call(keyring, verification_id, json.loads(content)["code"])
        verdict = (await client.run(SCRIPT, keys, args))[1].decode()
        content = {"id": verification_id, "valid": verdict == "approved", "verdict": verdict}
        await answer(send, 200, json.dumps(content).encode())

    return app


async def answer(send, status, content):
    """Send one complete response."""
    headers = [*_HEADERS, (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
