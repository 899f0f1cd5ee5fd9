"""What people do at their phones during random journeys: read messages, take calls, reply, call, and follow links.

They read the simulator. Replies and calls to us are posted as Twilio posts them, signed, and again with the same id
until a server has answered, as Twilio does after a failure.
"""

import asyncio
import json
import re
from uuid import uuid4

import aiohttp
from twilio.request_validator import RequestValidator

from service.core.actions import call, reply
from service.core.actions.words import WORDS
from tests.chaos.system import ACCOUNT

MOST_TRIES = 400  # longer than several leases of an Idempotency-Key whose server was killed
PAUSE_SECONDS = 0.2
SECONDS_TO_RING = 20
SECRETS = {
    "code": r"\b\d{6}\b",
    "password": r"\b\w{4,5}(?:[- ]\w{4,5})+\b|\b[a-zA-Z0-9]{15}\b",
    "link": r"/l/([\w-]{23})",
}


class People:
    """The owners of the phones of one system."""

    def __init__(self, system, draw, http):
        self._system = system
        self._twilio_url = system.dependencies.twilio_url
        self._draw = draw
        self._http = http

    async def secrets(self, journey):
        """Read the secrets of the messages of a verification, by the number of the send; listen to its calls."""
        number = journey.number.replace("+", "%2B")
        rows = await self._get(f"/_/messages?to={number}")
        found = {}
        for row in rows:
            send = sent_for(row, journey.id)
            if send and (secret := _secret_in(row, journey.action)):
                found[send] = secret
        if "voice" in journey.channels_used:
            found |= await self._heard(journey)
        return found

    async def follow(self, journey, token):
        """Answer a link on its page with the right match."""
        for _ in range(MOST_TRIES):
            try:
                url = f"{self._server()}/l/{token}"
                async with self._http.post(url, data={"match": journey.match}) as response:
                    await response.read()
                    if response.status < 500:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(PAUSE_SECONDS)

    async def reply(self, journey, words=None):
        """Send words, by default wrong ones, and the word on the screen."""
        words = words or " ".join(self._draw.sample([word for word in WORDS if word != journey.match], 2))
        fields = {"From": journey.number, "To": ACCOUNT.pool_number, "Body": f"{words} {journey.match}"}
        await self._tell("/twilio/message", "MessageSid", f"SM{uuid4().hex}", fields)

    async def call_in(self, journey, digits="000000"):
        """Call, and key in digits, by default wrong ones, and those on the screen."""
        sid, fields = f"CA{uuid4().hex}", {"From": journey.number, "To": ACCOUNT.pool_number, "CallStatus": "ringing"}
        await self._tell("/twilio/voice", "CallSid", sid, fields)
        fields |= {"CallStatus": "in-progress", "Digits": digits + journey.match}
        await self._tell("/twilio/voice/1", "CallSid", sid, fields)

    async def _tell(self, path, name, sid, fields):
        """Post a signed form until a server has answered."""
        fields = {name: sid, "AccountSid": ACCOUNT.account_sid, "ApiVersion": "2010-04-01", **fields}
        for _ in range(MOST_TRIES):
            url = self._server()
            signature = RequestValidator(ACCOUNT.auth_token).compute_signature(url + path, fields)
            headers = {"X-Twilio-Signature": signature}
            try:
                async with self._http.post(url + path, data=fields, headers=headers) as response:
                    await response.read()
                    if response.status < 500:
                        assert response.status == 200, response.status
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(PAUSE_SECONDS)
        raise AssertionError(f"no response to {path}")

    async def take_calls(self, journey):
        """Let the phone ring, and then answer and press a key, decline, or leave it ringing."""
        for row in await self._calls(journey):
            path = f"/_/calls/{row['sid']}"
            match self._draw.choice(["hear", "hear", "hear", "decline", "leave"]):
                case "hear":
                    if await self._post(f"{path}/answer"):
                        await self._until_gathering(journey, row["sid"])
                        await self._post(f"{path}/keys", keys="1")
                case "decline":
                    async with self._http.delete(self._twilio_url + path) as response:
                        await response.read()

    async def _until_gathering(self, journey, sid):
        for _ in range(SECONDS_TO_RING * 5):
            rows = [row for row in await self._calls(journey) if row["sid"] == sid]
            if not rows or rows[0]["is_gathering"] or rows[0]["ended_at"]:
                return
            await asyncio.sleep(PAUSE_SECONDS)

    async def _heard(self, journey):
        heard = {}
        for row in await self._calls(journey):
            said = [re.sub(r"\D", "", line["text"]) for line in row["lines"] if line["by"] == "voice"]
            codes = [digits for digits in said if len(digits) == call.DIGITS]
            if codes:
                heard[sent_for(row, journey.id)] = codes[0]
        return heard

    async def _calls(self, journey):
        """Return the calls to a person about a verification."""
        return [row for row in await self._get("/_/calls") if sent_for(row, journey.id)]

    async def _get(self, path):
        async with self._http.get(self._twilio_url + path) as response:
            return await response.json()

    async def _post(self, path, **body):
        async with self._http.post(self._twilio_url + path, json=body) as response:
            await response.read()
            return response.status == 200

    def _server(self):
        return self._system.url(self._draw.randrange(2))


def sent_for(row, verification_id=r"ve_[0-9a-f]{32}"):
    """Return the number of the send that a message or a call is; None if it is none of this verification."""
    found = re.search(rf"/{verification_id}/(\d+)", row["status_callback"] or "")
    return int(found[1]) if found else None


def _secret_in(row, action):
    if action == "reply":
        return next(iter(reply.found_in(row["body"])), None)
    if action == "call":
        return next(iter(call.found_in(row["body"])), None)
    variables = json.loads(row["content_variables"] or "{}")
    found = re.search(SECRETS[action], variables.get("1") or row["body"])
    return found[found.re.groups] if found else None
