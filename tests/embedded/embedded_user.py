"""A process that uses the embedded Valkey on command: one line in, one JSON line out.

`enter`, `leave`, `add N` (acknowledged increments of the counter), `churn SECONDS` (repeat: enter, add, leave).
On Ctrl-C it drains as a service does: it writes once more, then leaves.
"""

import contextlib
import json
import random
import sys
import time
from pathlib import Path

import redis

from service.embedded.server import embedded_valkey


def main(data_dir: Path) -> None:
    """Run commands until standard input ends."""
    stack = contextlib.ExitStack()
    client = None
    try:
        print(json.dumps("here"), flush=True)
        for line in sys.stdin:
            word, *numbers = line.split()
            if word == "enter":
                client = redis.Redis.from_url(stack.enter_context(embedded_valkey(data_dir)))
                result = client.info("server")["run_id"]
            elif word == "add":
                result = [client.incr("counter") for _ in range(int(numbers[0]))][-1]
            elif word == "churn":
                result = churn(data_dir, float(numbers[0]))
            else:
                client.close()
                stack.close()
                result = "left"
            print(json.dumps(result), flush=True)
    except KeyboardInterrupt:
        time.sleep(0.3)
        print(json.dumps(client.incr("counter")), flush=True)
        client.close()
    stack.close()


def churn(data_dir: Path, seconds: float) -> int:
    """Enter, add and leave at random times close to server shutdowns; return how many increments were acknowledged."""
    added = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with embedded_valkey(data_dir) as url, redis.Redis.from_url(url, retry=None) as client:
            leave_at = time.monotonic() + random.uniform(0, 0.06)
            while time.monotonic() < leave_at:
                client.incr("counter")
                added += 1
                time.sleep(0.005)
        time.sleep(random.uniform(0, 0.2))
    return added


if __name__ == "__main__":
    main(Path(sys.argv[1]))
