"""The walk: runs the loop once, and shows in the terminal the values that were sent.

It uses real HTTP, as a login back end would, and relies only on what the simulator has recorded.
"""

import asyncio
import re
import time
from dataclasses import dataclass
from typing import Any

import aiohttp
import typer

from service.demo.view import code_to_sid
from service.demo.window import Window
from service.logs.terminal_text import paint, wrap

_NUMBER = "+14155550199"  # reserved for fiction
_PATIENCE_SECONDS = 10.0
_LABEL_WIDTH = 14


@dataclass(frozen=True, slots=True)
class _Answer:
    body: Any
    milliseconds: int


async def walk(base_url: str, key: str, window: Window) -> bool:
    """Issue, receive and check a code; return whether exactly that message was confirmed.

    Raises `aiohttp.ClientError` if a step is refused, `ValueError` if no message came.
    """
    headers = {"Authorization": f"Bearer {key}"}
    # A new connection for each request: one that was kept might end just as the request is written.
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(base_url, headers=headers, connector=connector) as http:
        issued = await _call(http, "POST", "/v1/verifications", {"to": _NUMBER})
        one = f"/v1/verifications/{issued.body['id']}"
        say("issued", f"POST /v1/verifications {{to: {_NUMBER}}} → {issued.body['id']}, {issued.milliseconds} ms")
        for line in code_to_sid(await window.record(issued.body["id"])):
            say("in Redis", line)
        [message] = await _messages(http)
        say("SMS received", f"“{message['body']}”")
        code = re.findall(r"\b[0-9]{4,8}\b", message["body"])[0]
        say("code typed", code)
        checked = await _call(http, "POST", one + "/verify", {"code": code})
        say(checked.body["verdict"], f"POST …/verify → valid: {checked.body['valid']}, {checked.milliseconds} ms")
        confirmed = await _confirmed_sids(http)
    if checked.body["valid"] and confirmed == [message["sid"]]:
        say("Twilio told", f"Outcome=confirmed for {message['sid']}")
        return True
    say("FAILED", f"Twilio should have been told about {message['sid']} alone, and was told about {confirmed}")
    return False


def say(step: str, what: str) -> None:
    """Print one step."""
    typer.echo(f"{paint(f'{step:>{_LABEL_WIDTH}}', 'bold')}  {wrap(what, indent=_LABEL_WIDTH + 2)}")


async def _confirmed_sids(http: aiohttp.ClientSession) -> list[str]:
    """Wait until the simulator has recorded a confirmation; return all that it has."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        confirmed = [row["sid"] for row in await _messages(http) if row["outcome"] == "confirmed"]
        if confirmed:
            return confirmed
        await asyncio.sleep(0.05)
    return []


async def _messages(http: aiohttp.ClientSession) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = (await _call(http, "GET", "/sandbox/_/messages")).body
    return messages


async def _call(http: aiohttp.ClientSession, method: str, path: str, body: dict[str, str] | None = None) -> _Answer:
    started = time.perf_counter()
    async with http.request(method, path, json=body, raise_for_status=True) as answer:
        content = await answer.json()
    return _Answer(content, round((time.perf_counter() - started) * 1000))
