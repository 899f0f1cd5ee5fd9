"""Twilio's list of messages over real HTTP: the query, the messages that count, and the page that is followed."""

import json
from datetime import UTC, date, datetime
from urllib.parse import parse_qsl, urlsplit

import pytest

from service.core.lost_messages import ListedMessage, LookupFailed
from service.core.verification import Delivery
from service.providers.twilio.gateway import open_twilio
from tests.providers.test_twilio_gateway import ACCOUNT_SID, CODE, MESSAGES, NUMBER, account
from tests.providers.twilio_recorder import SID, recording

DAY = date(2026, 11, 28)
ROW = {
    "sid": SID, "to": NUMBER, "from": "+15005550006", "body": f"{CODE} is your code", "direction": "outbound-api",
    "date_created": "Sat, 28 Nov 2026 19:22:02 +0000", "status": "undelivered", "error_code": 30003,
}  # fmt: skip
LISTED = ListedMessage(
    sid=SID,
    body=ROW["body"],
    created_at_ms=int(datetime(2026, 11, 28, 19, 22, 2, tzinfo=UTC).timestamp() * 1000),
    status=Delivery.UNDELIVERED,
    error_code=30003,
    sender="+15005550006",
)


@pytest.fixture
async def twilio():
    """Run a server that replaces Twilio."""
    async with recording() as recorder:
        yield recorder


def pages(twilio, *rows, next_page_uri=None):
    """Respond with these messages and this next page."""
    twilio.answers(200, json.dumps({"messages": rows, "next_page_uri": next_page_uri}).encode())


async def listed(twilio, path=""):
    """List the messages to the number."""
    async with open_twilio(account(twilio.url + path)) as gateway:
        return await gateway.messages_to(NUMBER, since=DAY)


async def test_the_query(twilio):
    """One GET asks for the number, from this day on, with fifty messages a page, and nothing else."""
    pages(twilio, ROW)
    assert await listed(twilio) == [LISTED]
    [request] = twilio.requests
    url = urlsplit(request.path)
    assert (request.method, url.path, request.body) == ("GET", MESSAGES, "")
    assert dict(parse_qsl(url.query)) == {"To": NUMBER, "DateSent>": "2026-11-28", "PageSize": "50"}


async def test_the_next_page_is_followed_once(twilio):
    """The second page is read from the URI that Twilio returns, under the base URL; a third is not requested."""
    pages(twilio, ROW, next_page_uri=f"{MESSAGES}?PageSize=50&Page=1&PageToken=PASM%2B1")
    assert await listed(twilio, "/sandbox") == [LISTED] * 2
    first, second = [urlsplit(request.path) for request in twilio.requests]
    assert first.path == second.path == "/sandbox" + MESSAGES
    assert dict(parse_qsl(second.query)) == {"PageSize": "50", "Page": "1", "PageToken": "PASM+1"}


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/2010-04-01/x", "//evil.example/x", "/2010-04-01/Accounts/AC0/Messages.json?Page=1",
        "/2010-04-01/Accounts.json?Page=1", f"{MESSAGES}", 7, "",
    ],
)  # fmt: skip
async def test_a_next_page_elsewhere_is_not_followed(twilio, uri):
    """Our credentials are sent only to our own list of messages, whatever URI a response contains."""
    pages(twilio, ROW, next_page_uri=uri)
    assert await listed(twilio) == [LISTED]
    assert len(twilio.requests) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"direction": "inbound"}, {"direction": "outbound-reply"}, {"direction": None}, {"to": "+15558675311"},
        {"sid": "SM1"}, {"sid": None}, {"body": None}, {"date_created": None}, {"date_created": "yesterday"},
    ],
    ids=str,
)  # fmt: skip
async def test_foreign_or_unreadable_messages_are_left_out(twilio, changed):
    """Inbound messages, replies, messages to another number and malformed ones are left out; the rest counts."""
    pages(twilio, ROW | changed, ROW)
    assert await listed(twilio) == [LISTED]


@pytest.mark.parametrize(
    ("changed", "read"),
    [
        ({"error_code": None}, {"error_code": None}), ({"error_code": 10**30}, {"error_code": None}),
        ({"from": None}, {"sender": None}), ({"status": "teleported"}, {"status": Delivery.UNKNOWN}),
    ],
    ids=str,
)  # fmt: skip
async def test_malformed_optional_fields_are_ignored(twilio, changed, read):
    """A malformed or missing sender, status or error becomes None; the message counts nevertheless."""
    pages(twilio, ROW | changed)
    [message] = await listed(twilio)
    assert {name: getattr(message, name) for name in read} == read


@pytest.mark.parametrize(
    ("status", "body", "headers", "failure"),
    [
        (429, b"", {"Retry-After": "17"}, (17.0, False)),
        (401, b"{}", {}, (None, True)), (403, b"{}", {}, (None, True)), (503, b"", {}, (None, False)),
        (200, b"<html>", {}, (None, False)), (200, b"{}", {}, (None, False)), (200, b"[]", {}, (None, False)),
        (200, b'{"messages": 1}', {}, (None, False)), (200, b'{"messages": [1]}', {}, (None, False)),
    ],
)  # fmt: skip
async def test_every_failure_raises_lookup_failed(twilio, status, body, headers, failure):
    """Busy, refused, broken and malformed: each raises LookupFailed with the wait and whether access is forbidden."""
    twilio.answers(status, body, headers=headers)
    with pytest.raises(LookupFailed) as caught:
        await listed(twilio)
    assert (caught.value.retry_after_seconds, caught.value.is_forbidden) == failure
    assert NUMBER[1:] not in str(caught.value)
    assert ACCOUNT_SID not in str(caught.value)


async def test_a_refused_connection_raises_lookup_failed():
    """A refused connection raises LookupFailed, too."""
    async with open_twilio(account("http://127.0.0.1:1")) as gateway:
        with pytest.raises(LookupFailed):
            await gateway.messages_to(NUMBER, since=DAY)


def test_the_repr_hides_the_text_of_a_message():
    """The repr of a listed message, as in a log or traceback, does not contain its text."""
    assert CODE not in repr(LISTED)
