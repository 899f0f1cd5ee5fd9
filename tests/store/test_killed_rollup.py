"""A worker that is killed while it merges and rolls up: whatever it had done, every send is counted once.

Its commands pass a proxy, one after the other. After each script that it runs, and before the first, it is killed.
Every script here writes, and nothing else does: so these are all the states in which a kill can leave Redis.
"""

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from service.core.reports.counters import DAY_MS
from tests.store.engines import open_stores
from tests.store.test_funnel import FIRST, counted
from tests.store.test_funnel_upkeep import rows
from tests.store.upkeep_process import keep_up

ROOT = Path(__file__).parent.parent.parent
DAYS_AGO = 4
MERGING = 2 * 16 + 4  # scripts: of two hours each partition is taken, and both are merged and then forgotten
COUNTED = {FIRST: {"n": 4, "1q.c0.a": 2, "1q.-.p": 2}}
MOVED = {FIRST: {"n": 4, "1q.c0.a": 2, "1q.-.p": 1, "1q.l.p": 1}}


class Proxy:
    """Passes the commands of a worker on, and kills it after so many scripts."""

    def __init__(self, path, *, scripts):
        self._path = path
        self._left = scripts
        self._lock = asyncio.Lock()
        self.pid = asyncio.get_running_loop().create_future()

    async def connected(self, reader, writer):
        """Serve one connection."""
        upstream, to_server = await asyncio.open_unix_connection(self._path)
        try:
            while command := await message(reader):
                async with self._lock:
                    is_script = b"\r\nEVALSHA\r\n" in command or b"\r\nEVAL\r\n" in command
                    if is_script and not self._left:
                        os.kill(await self.pid, signal.SIGKILL)
                        break
                    to_server.write(command)
                    answer = await message(upstream)
                    self._left -= is_script and not answer.startswith(b"-NOSCRIPT")
                    writer.write(answer)
        finally:
            to_server.close()
            writer.close()


async def message(reader):
    """Read a command or a reply of Redis; nothing at the end of the connection."""
    line = await reader.readline()
    size = int(line[1:]) if line[:1] in (b"*", b"$", b"%") else -1
    if line[:1] == b"$" and size >= 0:
        return line + await reader.readexactly(size + 2)
    parts = [await message(reader) for _ in range(size * (2 if line[:1] == b"%" else 1))]
    return line + b"".join(parts)


@asynccontextmanager
async def workers(valkey):
    """Yield a function that runs a worker until it ends, or until it is killed after so many scripts."""
    command = (sys.executable, "-m", "tests.store.upkeep_process")
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, **pipes)

    async def is_killed(upkeep, *, after):
        proxy = Proxy(valkey.removeprefix("unix://"), scripts=after)
        server = await asyncio.start_server(proxy.connected, "127.0.0.1", 0)
        async with server, asyncio.timeout(60):
            process.stdin.write(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]} {upkeep}\n".encode())
            proxy.pid.set_result(int(await process.stdout.readline()))
            status = int(await process.stdout.readline())
        assert status in (0, signal.SIGKILL)
        return status == signal.SIGKILL

    try:
        yield is_killed
    finally:
        process.stdin.close()
        await process.wait()


async def old_day(stores):
    """Count four sends in two hours of a day that is over; return one without an answer, and the state of Redis."""
    issued = [await stores.sent("111111", to=f"+1415555012{number}") for number in range(4)]
    for sent in issued[:2]:
        await stores.check(sent, "111111")
    day = issued[0].sends[0].sent_at_ms // DAY_MS - DAYS_AGO
    for number, key in enumerate(sorted(stores.admin.keys("otp:*:funnel:h*"))):
        prefix, name = key.decode().rsplit(":", 1)
        moved = f"h{day * 24 + 10 + number % 2}"
        stores.admin.rename(key, f"{prefix}:{moved}")
        stores.admin.hincrby(f"{prefix}:{moved}", "^code", -DAYS_AGO * DAY_MS // 1000)
        stores.admin.sadd(f"{prefix}:open", moved)
        stores.admin.srem(f"{prefix}:open", name)
    stores.raw(issued[3]).set("sent_at_ms", day * DAY_MS + DAY_MS // 2, 1)
    return issued[3], [(key, stores.admin.pttl(key), stores.admin.dump(key)) for key in stores.admin.scan_iter()]


async def wrong_after_kills(stores, upkeep, *, first):
    """Kill a worker after each script, then let another do the rest; return where figures were wrong, and the kills."""
    unanswered, state = await old_day(stores)
    wrong, kills, is_killed = [], first, True
    async with workers(stores.url) as run:
        while is_killed:
            stores.admin.flushdb()
            for key, ttl_ms, dump in state:
                stores.admin.restore(key, ttl_ms, dump)
            is_killed = await run(upkeep, after=kills)
            seen = [await rows(stores), await rows(stores, by="days") or COUNTED]
            await stores.check(unanswered, "111111")  # moves a send of that day
            await keep_up(stores.url, upkeep)
            seen += [await rows(stores), await rows(stores, by="days")]
            if seen != [COUNTED, COUNTED, COUNTED, MOVED] or counted(stores):
                wrong.append((kills, seen))
            kills += is_killed
    return wrong, kills


@pytest.mark.parametrize("upkeep", ["real", "naive"])
async def test_a_killed_worker_rolls_a_day_up_once(valkey_engine, upkeep):
    """After a kill at any step a report is right at once; then another worker finishes, and a late move is added.

    One that adds up hour by hour would count twice: this is how such a fault would be seen.
    """
    valkey_engine.admin.flushall()
    async with open_stores(valkey_engine) as stores:
        wrong, kills = await wrong_after_kills(stores, upkeep, first=0 if upkeep == "real" else MERGING)
    assert kills > MERGING + 1  # the day is rolled up
    assert bool(wrong) is (upkeep == "naive"), wrong
