"""The cost of the calls to Twilio alone, in a process that does nothing else; prints CPU microseconds per call.

    python library_alone.py BASE_URL library|gateway send|confirm CALLS IN_FLIGHT

`library` is the reference: twilio-python's own asynchronous client as its documentation uses it, with the fields that
we send. `gateway` is ours: the same library over our transport, failures translated.
"""

import asyncio
import json
import secrets
import sys
import time
from contextlib import asynccontextmanager

import uvloop
from servers import ACCOUNT_SID, AUTH_TOKEN, FROM
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from service.core.sender import OutgoingMessage
from service.providers.twilio.account import TwilioAccount
from service.providers.twilio.gateway import open_twilio

RUN = secrets.token_hex(8)  # no two runs confirm the same SID
BODY = "Your Acme code is 123456. Do not share it."
WARM_UP_CALLS = 200


@asynccontextmanager
async def library(base_url):
    """Return `send` and `confirm` of the library alone."""
    async with AsyncTwilioHttpClient() as http:
        client = Client(ACCOUNT_SID, AUTH_TOKEN, http_client=http)
        client.api.base_url = base_url

        async def send(number):
            created = await client.messages.create_async(
                to=_to(number), body=BODY, from_=FROM, provide_feedback=True, validity_period=600, attempt=1,
                message_intent="otp", risk_check="enable",
            )  # fmt: skip
            return created.sid

        async def confirm(number):
            await client.messages(_sid(number)).feedback.create_async(outcome="confirmed")

        yield {"send": send, "confirm": confirm}


@asynccontextmanager
async def gateway(base_url):
    """Return `send` and `confirm` of our gateway."""
    account = TwilioAccount(
        account_sid=ACCOUNT_SID, username=ACCOUNT_SID, password=AUTH_TOKEN, from_number=FROM, base_url=base_url,
        risk_check="enable",
    )  # fmt: skip
    async with open_twilio(account) as twilio:
        yield {
            "send": lambda number: twilio.send(OutgoingMessage("ve_" + "0" * 32, 1, _to(number), BODY, 600)),
            "confirm": lambda number: twilio.confirm(_sid(number)),
        }


async def measure(call, numbers, in_flight):
    """Make a call for each number, `in_flight` at a time; return CPU microseconds per call and calls per second."""
    left, calls = iter(numbers), len(numbers)

    async def caller():
        for number in left:
            await call(number)

    started, cpu_began = time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller() for _ in range(in_flight)))
    return {
        "cpu_us": (time.process_time() - cpu_began) / calls * 1e6,
        "per_second": calls / (time.perf_counter() - started),
    }


async def main():
    """Warm up, measure, print."""
    base_url, client, what, calls, in_flight = sys.argv[1:]
    async with {"library": library, "gateway": gateway}[client](base_url) as ways:
        await measure(ways[what], range(WARM_UP_CALLS), int(in_flight))
        measured = range(WARM_UP_CALLS, WARM_UP_CALLS + int(calls))
        print(json.dumps(await measure(ways[what], measured, int(in_flight))))


def _to(number):
    return f"+1415{number:07d}"


def _sid(number):
    return f"SM{RUN}{number:016x}"


if __name__ == "__main__":
    uvloop.run(main())
