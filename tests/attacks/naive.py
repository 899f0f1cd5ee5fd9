"""The control of the race tests: a verifier as one first writes it, which reads, compares and then deletes.

It keeps its state in the same Redis and runs as processes like the service. The harness must catch it
comparing more guesses than its limit and approving one code more than once; else the harness proves nothing.
"""

import json
import os

import redis.asyncio

MOST_ATTEMPTS = 5


async def app(scope, receive, send):
    """Judge one guess for the verification named in the path."""
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
            verdict = await judge(store, scope["path"].rsplit("/", 1)[1], json.loads(body)["code"])
    answer = json.dumps({"verdict": verdict}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(answer))]})
    await send({"type": "http.response.body", "body": answer})


async def judge(store, name, code):
    """Read, compare, delete: three steps, and room for others between them."""
    attempts = int(await store.get(f"naive:{name}:attempts") or 0)
    if attempts >= MOST_ATTEMPTS:
        return "locked"
    right = await store.get(f"naive:{name}:code")
    await store.set(f"naive:{name}:attempts", attempts + 1, ex=600)
    if right is not None and code == right:
        await store.delete(f"naive:{name}:code")
        return "approved"
    return "wrong_code"
