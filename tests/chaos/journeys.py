"""Random journeys: verifications of every action and channel, each known to its caller from the start to the end."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp

from tests.chaos.people import MOST_TRIES, PAUSE_SECONDS, People

PURPOSES, COUNTRIES = ("login", "payment", "signup"), {"US": "+1415555{:04}", "DE": "+491512345{:04}"}
TEST_NUMBERS = {"+14155550100": "4930275", "+14155550101": "493027"}
# What a journey is about: its action, and its first channel, or a list of them; with their weights.
KINDS = {
    ("code", ("sms",)): 5,
    ("code", ("whatsapp",)): 2,
    ("code", ("voice",)): 2,
    ("code", ("whatsapp", "voice")): 1,
    ("code", ("voice", "whatsapp")): 1,
    ("code", ("sms", "whatsapp")): 1,
    ("password", ("sms",)): 3,
    ("link", ("sms",)): 3,
    ("reply", ("sms",)): 3,
    ("call", ("sms",)): 3,
}
PAYMENT, OTHER_PAYMENT = {"amount": "12.50 EUR", "payee": "Acme Books"}, {"amount": "99 EUR", "payee": "Acme Books"}
STEPS = {"wrong": 4, "resend": 3, "mismatch": 1, "nothing": 3}  # with their weights
ENDS = {"right": 7, "cancel": 1, "lock": 1, "nothing": 3}
ADDRESSES = [f"192.0.2.{last}" for last in range(1, 5)]  # few, so that their limit refuses some
TYPED = ("code", "password")


@dataclass
class Journey:
    """One verification, and what its caller knows of it."""

    number: str
    country: str
    purpose: str
    action: str
    channels: tuple[str, ...]  # the first one, and those that may follow it
    payment: dict = field(default_factory=dict)
    id: str | None = None
    match: str = ""
    channels_used: set = field(default_factory=set)
    blocked: Counter = field(default_factory=Counter)  # (hour, channel, number of the send, limit) that refused one
    busy: list = field(default_factory=list)  # (hour, channel, number) of sends for which Twilio was busy
    outcomes: dict = field(default_factory=dict)  # by send: c approved, l too late
    wrong_after: int = 0  # how many sends there were when a wrong secret was last typed
    sends: int = 0  # that may be used, or were
    read: dict | None = None

    @property
    def is_list(self):
        """Tell whether messages may follow by themselves."""
        return len(self.channels) > 1

    @property
    def is_test(self):
        """Tell whether its number is a test number, to which nothing is sent, and which is not counted."""
        return self.number in TEST_NUMBERS


def hour_now():
    """Return the hour in which we are, as the report writes it."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0).isoformat()


class Traveller:
    """Makes journeys; repeats each call with its key until it has a response, on either server."""

    def __init__(self, system, seed, *, is_patient):
        self._system = system
        self._draw = random.Random(seed)
        self._seed = seed
        self._is_patient = is_patient
        self._calls = 0
        self.journeys = []

    async def make(self, count, *, at_once=12):
        """Make so many journeys."""
        slots = asyncio.Semaphore(at_once)
        # Long without kills: a caller who gives up does not learn that a send was refused.
        timeout = aiohttp.ClientTimeout(total=30 if self._is_patient else 5)
        headers = {"Authorization": f"Bearer {self._system.key}"}
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as self._http,
            aiohttp.ClientSession(timeout=timeout) as outside,
        ):
            self._people = People(self._system, self._draw, outside)

            async def make_one(index):
                async with slots:
                    journey = self._new(index)
                    self.journeys.append(journey)
                    await self._travel(journey)

            await asyncio.gather(*(make_one(index) for index in range(count)))

    def _new(self, index):
        country = self._draw.choice(list(COUNTRIES))
        [(action, channels)] = self._draw.choices(list(KINDS), KINDS.values())
        journey = Journey(
            COUNTRIES[country].format(index % 10_000), country, self._draw.choice(PURPOSES), action, channels
        )
        if action in TYPED and channels == ("sms",):
            if self._draw.random() < 0.2:
                journey.payment = PAYMENT
            elif self._draw.random() < 0.1:
                journey.number, journey.country = self._draw.choice(list(TEST_NUMBERS)), "US"
        return journey

    async def _travel(self, journey):
        body = {"to": journey.number, "purpose": journey.purpose, "action": journey.action, **journey.payment}
        if journey.is_list:
            body["channels"] = [{"channel": channel} for channel in journey.channels]
        else:
            body["channel"] = journey.channels[0]
            if self._draw.random() < 0.3:
                body["client_ip"] = self._draw.choice(ADDRESSES)
        await self._send(journey, "/v1/verifications", body, journey.channels[0])
        if journey.id is not None:
            await self._go_on(journey)

    async def _go_on(self, journey):
        for step in self._draw.choices(list(STEPS), STEPS.values(), k=self._draw.randint(0, 3)):
            if step == "resend":
                await self._resend(journey)
            elif step != "nothing":
                await self._fail(journey, is_mismatch=step == "mismatch")
        [end] = self._draw.choices(list(ENDS), ENDS.values())
        if end == "cancel":
            await self._call("POST", f"/v1/verifications/{journey.id}/cancel", {})
        elif end == "lock":
            for _ in range(5):
                await self._fail(journey)
        if end in ("right", "cancel") and self._draw.random() < 0.9:
            await self._answer(journey)

    async def _resend(self, journey):
        """Ask for the next message: of a code, by any channel that can carry it."""
        channels = ["sms"]
        if journey.action == "code" and not journey.payment:
            # A list is sent by no channel that may be busy: nobody would hear of it.
            channels = ["whatsapp", "voice"] if journey.is_list else ["sms", "whatsapp", "voice"]
        channel = self._draw.choice(channels)
        await self._send(journey, f"/v1/verifications/{journey.id}/resend", {"channel": channel}, channel)

    async def _fail(self, journey, *, is_mismatch=False):
        """Answer with a wrong secret, or with one for another purpose or payment."""
        if journey.action in TYPED:
            other = OTHER_PAYMENT if journey.payment else {"purpose": "other"}
            await self._check(journey, "0" * 6, **(other if is_mismatch else {}))
        elif journey.action != "link":  # which is followed, or not
            await (self._people.reply if journey.action == "reply" else self._people.call_in)(journey)
            journey.wrong_after = journey.sends

    async def _answer(self, journey):
        """Answer with the secret of a send that has arrived, then perhaps with that of another one."""
        if "voice" in journey.channels_used:
            await self._people.take_calls(journey)
        secrets = await self._people.secrets(journey)
        if journey.is_test:
            secrets = {1: TEST_NUMBERS[journey.number]}
        for send in self._draw.sample(sorted(secrets), min(len(secrets), self._draw.choice([1, 1, 2]))):
            if journey.action in TYPED:
                await self._check(journey, secrets[send], send=send)
                continue
            answer = {"link": self._people.follow, "reply": self._people.reply, "call": self._people.call_in}
            await answer[journey.action](journey, secrets[send])
            return

    async def _send(self, journey, path, body, channel):
        journey.channels_used |= {channel, *journey.channels}
        hour = hour_now()
        status, response = await self._call("POST", path, body)
        if status in (200, 201):
            journey.id, journey.sends = response["id"], len(response["sends"])
            journey.match = response.get("match") or journey.match
        elif status == 429 and response["code"] == "rate_limited":
            journey.blocked[hour, channel, journey.sends + 1, response["limit"]] += 1
        elif status == 503 and "verification_id" not in response:
            journey.blocked[hour, channel, journey.sends + 1, "sending_halted"] += 1
        elif "verification_id" in response and response["code"] != "not_pending":
            if status == 422 and journey.sends:  # refused for good: it keeps its number
                journey.sends += 1
            elif status == 503:
                journey.busy.append((hour, channel, journey.sends + 1))
            if journey.sends == 0:
                journey.id = response["verification_id"]

    async def _check(self, journey, secret, *, send=None, **wrong):
        body = {"password" if journey.action == "password" else "code": secret, **journey.payment, **wrong}
        status, response = await self._call("POST", f"/v1/verifications/{journey.id}/verify", body)
        if status != 200:
            return
        verdict = response["verdict"]
        if verdict in ("wrong_code", "mismatch"):
            journey.wrong_after = len(response["sends"])
        elif verdict == "approved":
            journey.outcomes[send] = "c"
        elif verdict in ("used", "canceled", "expired", "superseded") and send:
            journey.outcomes.setdefault(send, "l")

    async def _call(self, method, path, body):
        """Make a call until it has a response that is no store's outage."""
        self._calls += 1
        key = f"{self._seed}-{self._calls}"
        for _ in range(MOST_TRIES):
            url = self._system.url(self._draw.randrange(2))
            try:
                headers = {"Idempotency-Key": key}
                async with self._http.request(method, url + path, json=body, headers=headers) as response:
                    text = await response.json()
                    if response.status not in (409, 500, 503) or text["code"] in ("not_pending", "wrong_action"):
                        return response.status, text
                    if text["code"] == "provider_unavailable":
                        return response.status, text
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(PAUSE_SECONDS)
        raise AssertionError(f"no response to {method} {path}")
