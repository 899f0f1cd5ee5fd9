"""Opens the links of a message as a mail or message scanner does, before the person taps them.

Such scanners send HEAD and then GET, without cookies, and often as a browser (headless Chromium). Only links to
loopback hosts are opened: a simulator must not fetch public pages. Redirects are not followed, and proxies from the
environment are not used.
"""

import re
from collections.abc import Iterator

import aiohttp
from yarl import URL

from service.sandbox.ledger import Ledger
from service.sandbox.loopback import is_loopback
from service.sandbox.records import Message

_LINK = re.compile(r"https?://\S+", re.IGNORECASE)
_AFTER_A_LINK = ".,;:!?)]}'\"”»"  # what ends a sentence is no part of the link
_TIMEOUT = aiohttp.ClientTimeout(total=15)
_BROWSER = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/140.0.0.0 Safari/537.36"
)


class Scanner:
    """The scanner of one sandbox."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def scan(self, message: Message) -> list[str]:
        """Open each link of the message; record and return a method and status per request. Empty if it has none."""
        opened = []
        async with aiohttp.ClientSession(timeout=_TIMEOUT, headers={"User-Agent": _BROWSER}) as http:
            for link in _links(message.body):
                if is_loopback(link.host):
                    opened += [f"{method} {await _status(http, method, link)}" for method in ("HEAD", "GET")]
        if opened:
            self._ledger.add_scan(message.sid, opened)
        return opened


def _links(body: str) -> Iterator[URL]:
    for found in _LINK.findall(body):
        try:
            link = URL(found.rstrip(_AFTER_A_LINK), encoded=True)
        except ValueError:
            continue
        if link.host:
            yield link


async def _status(http: aiohttp.ClientSession, method: str, link: URL) -> int | str:
    try:
        async with http.request(method, link, allow_redirects=False) as response:
            await response.read()
            return response.status
    except (aiohttp.ClientError, TimeoutError):
        return "failed"
