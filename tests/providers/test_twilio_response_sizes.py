"""The limits on a response of Twilio: no server can exhaust our memory or keep a call open."""

import gzip
import json
from contextlib import asynccontextmanager
from datetime import date

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from service.core.lost_messages import LookupFailed
from service.core.sender import ConfirmPostponed, SendPostponed, SendRefused, SendUnknown
from service.first_message import failures
from service.providers.twilio.gateway import open_twilio
from service.providers.twilio.transport import MOST_BYTES, MOST_BYTES_OF_A_LIST
from tests.providers.test_twilio_gateway import MESSAGE, NUMBER, account, failure_of
from tests.providers.twilio_recorder import SID, recording

PIECE = b" " * 65_536
ENOUGH_PIECES = 4096  # 256 MB: more than the buffers between client and server hold
DAY = date(2026, 11, 28)


class Endless:
    """A server that sends spaces, which JSON allows, until the client closes the connection."""

    def __init__(self, status):
        self.status = status
        self.sent = 0

    async def respond(self, request):
        response = web.StreamResponse(status=self.status)
        await response.prepare(request)
        while self.sent < ENOUGH_PIECES:
            await response.write(PIECE)
            self.sent += 1
        return response


@asynccontextmanager
async def endless(status):
    """Serve endless responses; yield the server and its URL."""
    server = Endless(status)
    async with RawTestServer(server.respond, handler_cancellation=True, shutdown_timeout=0.1) as running:
        yield server, str(running.make_url("")).rstrip("/")


CALLS = {
    "send": (lambda gateway: gateway.send(MESSAGE), SendUnknown),
    "confirm": (lambda gateway: gateway.confirm(SID), ConfirmPostponed),
    "list": (lambda gateway: gateway.messages_to(NUMBER, since=DAY), LookupFailed),
}


@pytest.mark.parametrize(("call", "failure"), CALLS.values(), ids=list(CALLS))
async def test_an_endless_response_is_cut_off(call, failure):
    """A send becomes unknown, a confirmation is retried, a lookup fails; the rest of the body is not read."""
    async with endless(201) as (server, url), open_twilio(account(url, total_timeout_seconds=60.0)) as gateway:
        failed = await failure_of(call(gateway))
    assert (type(failed), "ResponseTooLarge" in str(failed)) == (failure, True)
    assert server.sent < ENOUGH_PIECES


@pytest.mark.parametrize(("status", "failure"), [(400, SendRefused), (429, SendPostponed), (500, SendUnknown)])
async def test_the_status_of_a_refusal_counts_without_its_body(status, failure):
    """A refusal with an endless body is handled by its status, as if it had no body."""
    async with endless(status) as (server, url), open_twilio(account(url, total_timeout_seconds=60.0)) as gateway:
        assert type(await failure_of(gateway.send(MESSAGE))) is failure
    assert server.sent < ENOUGH_PIECES


@pytest.mark.parametrize("coding", [None, "gzip"])
async def test_the_limit_counts_what_is_read(coding):
    """A body of exactly the limit is read, and a body of one more byte is not, compressed or plain."""
    created = json.dumps({"sid": SID, "status": "queued"}).encode()
    async with recording() as twilio, open_twilio(account(twilio.url)) as gateway:
        for size, is_read in ((MOST_BYTES, True), (MOST_BYTES + 1, False), (100 * MOST_BYTES, False)):
            body = created.ljust(size)
            twilio.answers(201, gzip.compress(body) if coding else body, headers={"Content-Encoding": coding or ""})
            if is_read:
                assert (await gateway.send(MESSAGE)).sid == SID
            else:
                assert type(await failure_of(gateway.send(MESSAGE))) is SendUnknown


async def test_a_page_of_long_messages_is_read():
    """A list may be longer than a message: fifty messages of 1,600 characters, each six bytes in JSON, are read."""
    row = {"sid": SID, "to": NUMBER, "body": "ü" * 1600, "direction": "outbound-api", "uri": "x" * 2000}
    row |= {"date_created": "Sat, 28 Nov 2026 19:22:02 +0000"}
    body = json.dumps({"messages": [row] * 50}).encode()
    assert MOST_BYTES < len(body) < MOST_BYTES_OF_A_LIST
    async with recording() as twilio, open_twilio(account(twilio.url)) as gateway:
        twilio.answers(200, body)
        assert len(await gateway.messages_to(NUMBER, since=DAY)) == 50


async def test_the_probe_of_the_public_address_is_cut_off():
    """The command that probes `OTP_PUBLIC_URL` reads a limited part of the response, whatever the server sends."""
    async with endless(403) as (server, url):
        assert "answers 403" in await failures._probe(url)
    assert server.sent < ENOUGH_PIECES
