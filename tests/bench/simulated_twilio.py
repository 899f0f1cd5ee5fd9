"""The test interface of the simulator of Twilio, as the benches use it: to make calls hang, and to count calls."""

import asyncio
import http.client
import json
from contextlib import closing, contextmanager


@contextmanager
def hanging(twilio, *endpoints):
    """Let every call of these endpoints hang until the block ends."""
    for endpoint in endpoints:
        call(twilio, "POST", "/_/faults", {"endpoint": endpoint, "kind": "hang", "seconds": 60})
    try:
        yield
    finally:
        call(twilio, "DELETE", "/_/faults")


async def wait_for_calls(twilio, least):
    """Wait, for a second at most, until at least this many calls are inside the simulator."""
    for _ in range(50):
        now = (await asyncio.to_thread(call, twilio, "GET", "/_/stats"))["concurrent_now"]
        if now >= least:
            return
        await asyncio.sleep(0.02)
    raise SystemExit(f"{now} calls hang at Twilio, {least} were expected")


def call(twilio, method, path, content=None):
    """Call the test interface of the simulator."""
    connection = http.client.HTTPConnection("127.0.0.1", twilio.port, timeout=5)
    with closing(connection):
        connection.request(method, path, None if content is None else json.dumps(content))
        return json.loads(connection.getresponse().read() or b"null")
