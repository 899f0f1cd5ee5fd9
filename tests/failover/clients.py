"""The clients of a fault run: pairs of an issue and a check, at a steady rate, with a note of each response.

A client acts as the README says: after a 503, or without a response, it repeats the request with the same
Idempotency-Key. Half of the pairs check their code twice at once, with two keys, as two browser tabs would. One in ten
leaves its code to the audit, so that a confirmation without a typed code would be found.
"""

import asyncio
import random
import re
import time
from dataclasses import dataclass, field
from uuid import uuid4

import aiohttp

AREAS = (212, 213, 312, 415, 617, 702, 713, 305)
PATIENCE_SECONDS = 40.0  # after that a client gives up; the audit types the code once more
ANSWER_SECONDS = 20.0  # longer than an issue takes that Twilio answers late, on a slow machine
PAUSE_SECONDS = 0.25  # shorter than Retry-After asks, so that more requests meet the fault


@dataclass
class Pair:
    """One person: what was asked, and what was told, in order."""

    number: str
    id: str | None = None
    code: str | None = None
    sid: str | None = None
    has_typed: bool = False
    verdicts: list[str] = field(default_factory=list)  # one for each of the checks that had an answer
    latencies: list[float] = field(default_factory=list)  # of checks that were approved at once (s)

    @property
    def is_approved(self):
        """Whether a client was told `approved`."""
        return "approved" in self.verdicts


@dataclass
class Clients:
    """The clients of one run."""

    service: object
    pairs: list[Pair] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)  # by status; without Retry-After also as such
    longest_wait: float = 0.0  # from a first response other than success to the success of the same request (s)
    tasks: set[asyncio.Task] = field(default_factory=set)

    async def run(self, rate, until):
        """Start pairs at a rate until an event is set; return when all have ended."""
        due = asyncio.get_running_loop().time()
        while not until.is_set():
            task = asyncio.create_task(self._pair())
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
            due += 1 / rate
            await asyncio.sleep(max(0, due - asyncio.get_running_loop().time()))
        await asyncio.gather(*self.tasks)

    async def type_again(self, pair, key=None):
        """Check the code of a pair with a key of its own; return the verdict, or None without an answer."""
        return await self._check(pair, key or uuid4().hex)

    async def _pair(self):
        place = len(self.pairs)
        pair = Pair(f"+1{AREAS[place // 10_000]}555{place % 10_000:04d}")
        self.pairs.append(pair)
        issued = await self._call("/v1/verifications", {"to": pair.number}, uuid4().hex, 201)
        if issued is None:
            return
        messages = reversed(self.service.sandbox.ledger.messages())
        message = next((each for each in messages if each.to == pair.number), None)  # the newest: a soak has many
        if message is None:
            self._note("201 without a message")
            return
        pair.id, pair.sid = issued["id"], message.sid
        pair.code = re.search(r"\b[0-9]{4,8}\b", message.body)[0]
        if place % 10 == 4:
            return
        await asyncio.sleep(random.choice((0, 0, 0, random.uniform(0, 2))))
        checks = [self._check(pair, uuid4().hex) for _ in range(1 + place % 2)]
        for verdict in await asyncio.gather(*checks):
            if verdict is not None:
                pair.verdicts.append(verdict)

    async def _check(self, pair, key):
        pair.has_typed, began = True, time.monotonic()
        told = await self._call(f"/v1/verifications/{pair.id}/verify", {"code": pair.code}, key, 200)
        if told is None:
            return None
        if told["verdict"] == "approved":
            pair.latencies.append(time.monotonic() - began)
        return told["verdict"]

    async def _call(self, path, body, key, wanted):
        """Repeat a request while the response is 503 or missing; return the body of the wanted response, else None."""
        give_up_at, failed_at = time.monotonic() + PATIENCE_SECONDS, None
        while True:
            asked_at = time.monotonic()
            try:
                status, told, headers = await self.service.call(
                    "POST", path, body, headers={"Idempotency-Key": key}, timeout=aiohttp.ClientTimeout(ANSWER_SECONDS)
                )
            except (TimeoutError, aiohttp.ClientError) as failure:
                self._note(type(failure).__name__)
                status, headers = None, {}
            if status == wanted:
                if failed_at is not None:
                    self.longest_wait = max(self.longest_wait, time.monotonic() - failed_at)
                return told
            failed_at = failed_at or asked_at
            if status is not None:
                is_plain = "Retry-After" in headers or status == 404
                self._note(str(status) if is_plain else f"{status} without Retry-After")
            if status not in {503, 409, None} or time.monotonic() > give_up_at:
                return None
            await asyncio.sleep(PAUSE_SECONDS)

    def _note(self, error):
        self.errors[error] = self.errors.get(error, 0) + 1
