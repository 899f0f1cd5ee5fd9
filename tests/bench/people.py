"""People who log in, as a load generator: each requests a code, waits for it and submits it, over and over.

    crowd = Crowd(service_port, twilio_port)
    runner.run(crowd.log_in(3000, at_once=64))      # always in one event loop

One keep-alive connection each, raw HTTP. The phone is the stream `GET /codes` of fast_twilio.py. Every response is
checked: a 201 for the issue, an approval for the code; anything else ends the bench. The steps can also run separately:
`ask` only issues, `type_in` submits the codes of `ask`.
"""

import asyncio
import itertools
import json
import secrets

from pending import API_KEY

_TIMEOUT_SECONDS = 60
_PREFIXES = [f"+1415{exchange}" for exchange in range(201, 990) if exchange % 100 != 11]
_requests = itertools.count(secrets.randbelow(1_000_000))


class Crowd:
    """People with their own numbers and addresses."""

    def __init__(self, service_port, twilio_port):
        self._service_port, self._twilio_port = service_port, twilio_port
        self._asked = []  # (id, number) whose code has not been submitted
        self._phone = None

    async def log_in(self, count, *, at_once):
        """Run whole logins: request a code, wait for it, submit it."""

        async def one(connection):
            await _type(connection, await _ask(connection, with_key=False), self._phone)

        await self._play(one, count, at_once)

    async def ask(self, count, *, at_once, with_key=False):
        """Request codes and do not submit them; `with_key`: each request has an Idempotency-Key."""

        async def one(connection):
            self._asked.append(await _ask(connection, with_key=with_key))

        await self._play(one, count, at_once)

    async def type_in(self, *, at_once):
        """Submit every code of `ask`."""

        async def one(connection):
            await _type(connection, self._asked.pop(), self._phone)

        await self._play(one, len(self._asked), at_once)

    async def _play(self, one, count, at_once):
        loop = asyncio.get_running_loop()
        if self._phone is None:
            _, self._phone = await loop.create_connection(_Phone, "127.0.0.1", self._twilio_port)
        connections = [
            (await loop.create_connection(_Connection, "127.0.0.1", self._service_port))[1] for _ in range(at_once)
        ]
        turns = iter(range(count))

        async def person(connection):
            for _ in turns:
                await one(connection)
            connection.close()

        async with asyncio.timeout(_TIMEOUT_SECONDS):
            await asyncio.gather(*map(person, connections))


class _Connection(asyncio.Protocol):
    """One connection to the service: a request, its response, the next request."""

    def connection_made(self, transport):
        self._transport = transport
        self._received = b""

    def close(self):
        self._transport.close()

    def ask(self, request):
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data):
        self._received += data
        head, _, body = self._received.partition(b"\r\n\r\n")
        if len(body) and len(body) == int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            self._received = b""
            self._answer.set_result((head[9:12], body))


class _Phone(asyncio.Protocol):
    """The codes that have arrived, by number."""

    def __init__(self):
        self._received = b""
        self._codes = {}
        self._waiting = {}

    def connection_made(self, transport):
        transport.write(b"GET /codes HTTP/1.1\r\nHost: twilio\r\n\r\n")

    def data_received(self, data):
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            number, _, code = line.partition(b" ")
            if number in self._waiting:
                self._waiting.pop(number).set_result(code)
            else:
                self._codes[number] = code

    async def code(self, number):
        if number in self._codes:
            return self._codes.pop(number)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        return await self._waiting[number]


async def _ask(connection, *, with_key):
    request = next(_requests)
    number = f"{_PREFIXES[request % len(_PREFIXES)]}{request // len(_PREFIXES) % 10_000:04d}"
    address = ".".join(map(str, (10, request >> 16 & 255, request >> 8 & 255, request & 255)))
    body = f'{{"to":"{number}","purpose":"login","client_ip":"{address}"}}'
    more = f"Idempotency-Key: {secrets.token_hex(16)}\r\n" if with_key else ""
    status, response = await connection.ask(_post("/v1/verifications", body, more))
    if status != b"201":
        raise SystemExit(f"An issue got {response.decode()}")
    return json.loads(response)["id"], number[1:].encode()


async def _type(connection, asked, phone):
    verification_id, number = asked
    body = f'{{"code":"{(await phone.code(number)).decode()}"}}'
    status, response = await connection.ask(_post(f"/v1/verifications/{verification_id}/verify", body))
    if status != b"200" or b'"valid":true' not in response:
        raise SystemExit(f"A right code got {response.decode()}")


def _post(path, body, more=""):
    return (
        f"POST {path} HTTP/1.1\r\nHost: otp\r\nAuthorization: Bearer {API_KEY}\r\n"
        f"Content-Type: application/json\r\n{more}Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()
