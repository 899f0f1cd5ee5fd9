"""People who sign in now, over real HTTP and against the simulator: the part of the traffic that is no plan.

Each gets a code and types it, types a wrong one, asks for another, cancels, or does nothing. The report of this hour
can be compared with what the simulator recorded.
"""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp

_VISITORS = 60
_AT_ONCE = 12
_CODE = re.compile(r"\b[0-9]{4,8}\b")
_FEW_SECONDS = 60  # the lifetime of codes that nobody types, so that they soon count as not converted
# Ranges of mobile numbers, of which the last four digits are drawn.
_RANGES = ("+1415555", "+4915123456", "+336123456", "+447400123")
_FAULTS = (("messages", "refuse", 21610, 2), ("callbacks", "fail", 30003, 5))
_FINAL = frozenset({"delivered", "undelivered", "failed"})
_PATIENCE_SECONDS = 20.0
_LENGTHS = {"+1": 12, "+49": 14, "+33": 12, "+44": 13}  # with the plus sign


class Visitors:
    """Signs people in by the service at a URL, with its simulator mounted beside it."""

    def __init__(self, http: aiohttp.ClientSession, *, seed: int = 20) -> None:
        self._http = http
        self._chance = random.Random(seed)  # noqa: S311 - no secret
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def come(self) -> int:
        """Let all of them sign in; return how many verifications were issued."""
        behave: list[Callable[[str], Awaitable[None]]] = [self._types] * 4
        behave += [self._resends, self._mistypes, self._ignores, self._cancels]
        visits = (self._visit(behave[place % len(behave)], self._number(place)) for place in range(_VISITORS))
        await self._plan_faults()
        issued = sum(await asyncio.gather(*visits))
        await self._settle()
        return issued

    async def _plan_faults(self) -> None:
        """Let Twilio refuse some messages, and carriers lose some."""
        for endpoint, kind, code, count in _FAULTS:
            await self._post("/sandbox/_/faults", {"endpoint": endpoint, "kind": kind, "code": code, "count": count})

    async def _settle(self) -> None:
        """Wait until every message has arrived or failed, and every confirmation is posted."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not (await self._is_settled()):  # noqa: ASYNC110 - the simulator is asked over HTTP
                await asyncio.sleep(0.1)

    async def _is_settled(self) -> bool:
        messages = await self._get("/sandbox/_/messages")
        ready = await self._get("/readyz")
        return not ready.get("outbox_pending") and all(message["status"] in _FINAL for message in messages)

    def _number(self, place: int) -> str:
        start = _RANGES[place % len(_RANGES)]
        left = next(length for prefix, length in _LENGTHS.items() if start.startswith(prefix)) - len(start)
        return start + f"{self._chance.randrange(10**left):0{left}}"

    async def _visit(self, behave: Callable[[str], Awaitable[None]], number: str) -> int:
        async with self._slots:
            try:
                await behave(number)
            except aiohttp.ClientResponseError:  # a number that is not valid, or a limit: people meet those too
                return 0
            return 1

    async def _types(self, number: str) -> None:
        issued = await self._issue(number)
        await self._verify(issued["id"], await self._code(number, 1))

    async def _resends(self, number: str) -> None:
        issued = await self._issue(number)
        await asyncio.sleep(issued["resend_in"] or 0)
        await self._post(f"/v1/verifications/{issued['id']}/resend", {})
        await self._verify(issued["id"], await self._code(number, 2))

    async def _mistypes(self, number: str) -> None:
        issued = await self._issue(number)
        code = await self._code(number, 1)
        await self._verify(issued["id"], "".join(str(9 - int(digit)) for digit in code))
        await self._verify(issued["id"], code)

    async def _ignores(self, number: str) -> None:
        await self._issue(number, ttl_seconds=_FEW_SECONDS)

    async def _cancels(self, number: str) -> None:
        issued = await self._issue(number)
        await self._post(f"/v1/verifications/{issued['id']}/cancel", {})

    async def _issue(self, number: str, **more: Any) -> Mapping[str, Any]:
        issued: Mapping[str, Any] = await self._post("/v1/verifications", {"to": number, **more})
        return issued

    async def _verify(self, verification_id: str, code: str) -> None:
        await self._post(f"/v1/verifications/{verification_id}/verify", {"code": code})

    async def _code(self, number: str, messages: int) -> str:
        """Read the code of the newest message, as the person does."""
        while True:
            found = await self._get("/sandbox/_/messages", to=number)
            if len(found) >= messages:
                return str(_CODE.findall(found[-1]["body"])[0])
            await asyncio.sleep(0.05)

    async def _get(self, path: str, **params: str) -> Any:
        async with self._http.get(path, params=params, raise_for_status=True) as response:
            return await response.json()

    async def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        async with self._http.post(path, json=body, raise_for_status=True) as response:
            return await response.json()
