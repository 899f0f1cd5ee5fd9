"""The control of the race tests: a naive verifier and limit, which read, compare and then write.

They keep their state in the same Redis and run as processes like the service. The harness must catch them comparing
more guesses than the limit, approving one code more than once, and sending more than a limit allows; otherwise the
harness proves nothing.
"""

import json
import os

import redis.asyncio

MOST_ATTEMPTS = 5
MOST_SENDS = 10


async def app(scope, receive, send):
    """Check one guess for the verification named in the path."""
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    verdict = "alive"
    if scope["method"] == "POST":
        async with redis.asyncio.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True) as store:
            name = scope["path"].rsplit("/", 1)[1]
            asks_to_send = name == "verifications"
            verdict = await (count(store) if asks_to_send else check(store, name, json.loads(body)["code"]))
    response = json.dumps({"verdict": verdict}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(response))]})
    await send({"type": "http.response.body", "body": response})


async def check(store, name, code):
    """Read, compare, delete: three steps that others can interleave."""
    attempts = int(await store.get(f"naive:{name}:attempts") or 0)
    if attempts >= MOST_ATTEMPTS:
        return "locked"
    right = await store.get(f"naive:{name}:code")
    await store.set(f"naive:{name}:attempts", attempts + 1, ex=600)
    if right is not None and code == right:
        await store.delete(f"naive:{name}:code")
        return "approved"
    return "wrong_code"


async def count(store):
    """Read, compare, count: also three steps."""
    sent = int(await store.get("naive:sent") or 0)
    if sent >= MOST_SENDS:
        return "limited"
    await store.set("naive:sent", sent + 1, ex=600)
    return "sent"
