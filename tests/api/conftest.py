"""Shared by the tests of the endpoints: checking problems, the OpenAPI document, raw bytes, and a Redis outage."""

import asyncio
import contextlib
import json
from urllib.parse import urlsplit

import pytest

from service.http.problem_catalogue import CATALOGUE
from service.http.problems import Problem


@pytest.fixture
def expect():
    """Return a check of a problem response: `expect((status, body, headers), status, code)` returns the body."""

    def look(response, status, code):
        got, body, headers = response
        assert (got, body and body.get("code")) == (status, code), body
        assert headers["Content-Type"] == "application/problem+json"
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert [body["request_id"]] == headers.getall("X-Request-Id")
        assert (body["type"], body["status"]) == (f"/docs/problems#{code}", status)
        assert (status, body["title"]) == CATALOGUE[code][:2]
        assert set(body) <= set(Problem.model_fields)
        Problem.model_validate(body, strict=True)
        if status in (429, 503):
            assert body["retry_after"] >= 1
        if "retry_after" in body or "Retry-After" in headers:
            assert headers["Retry-After"] == str(body["retry_after"])
        return body

    return look


@pytest.fixture
async def document(running):
    """Return the OpenAPI document as it is served."""
    status, body, _ = await running.call("GET", "/openapi.json")
    assert status == 200
    return body


@pytest.fixture
def operations(document):
    """List the document's operations as (method, path, operation)."""
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


@pytest.fixture
def post_raw():
    """Return a function that posts a body unchanged: `post_raw(service, path, body, content_type)`."""

    async def post(service, path, body, content_type="application/json", **headers):
        sent = {"Authorization": f"Bearer {service.key}", **headers}
        if content_type is not None:
            sent["Content-Type"] = content_type
        skip = ["Content-Type"] if content_type is None else []
        async with service.http.post(path, data=body, headers=sent, skip_auto_headers=skip) as response:
            text = await response.text()
            return response.status, json.loads(text) if text else None, response.headers

    return post


@pytest.fixture
def on_the_wire():
    """Return a function that sends bytes and reads until the service closes or `seconds` pass."""

    async def talk(service, sent, *, seconds=5.0, then_close=False):
        place = urlsplit(service.url)
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        writer.write(sent)
        await writer.drain()
        if then_close:
            writer.close()
            await writer.wait_closed()
            return b""
        received = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(seconds):
                while chunk := await reader.read(65536):
                    received += chunk
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        return received

    return talk


class Gate:
    """A proxy to Redis that can be closed and reopened."""

    def __init__(self, path):
        self._path = path
        self._server = None
        self._pairs = set()
        self.port = 0

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    async def open(self):
        self._server = await asyncio.start_server(self._join, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self):
        self._server.close()
        for writer in list(self._pairs):
            writer.transport.abort()
        await self._server.wait_closed()
        await asyncio.sleep(0.01)

    async def _join(self, reader, writer):
        inner_reader, inner_writer = await asyncio.open_unix_connection(self._path)
        self._pairs |= {writer, inner_writer}
        await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
        self._pairs -= {writer, inner_writer}


async def _pump(reader, writer):
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


@pytest.fixture
async def gate(valkey):
    """Return an open `Gate` to the Valkey of the tests."""
    gate = Gate(valkey.removeprefix("unix://"))
    await gate.open()
    yield gate
    await gate.shut()
