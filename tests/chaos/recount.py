"""Random journeys, each known to the end, and a recount of what a report must say of them.

The recount uses only what callers and people see: the responses to their calls, the verifications as they are read at
the end, and the messages that the simulator has. It knows nothing of counters.
"""

import asyncio
import random
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import aiohttp

PURPOSES, COUNTRIES = ("login", "payment", "signup"), {"US": "+1415555{:04}", "DE": "+491512345{:04}"}
SECRETS = {
    "code": r"\b\d{6}\b",
    "password": r"\b\w{4,5}(?:[- ]\w{4,5})+\b|\b[a-zA-Z0-9]{15}\b",
    "link": r"/l/([\w-]{23})",
}
MOST_TRIES = 60
STEPS = {"wrong": 4, "resend": 3, "mismatch": 1, "nothing": 3}  # with their weights
ENDS = {"right": 7, "cancel": 1, "lock": 1, "nothing": 3}
ADDRESSES = [f"192.0.2.{last}" for last in range(1, 5)]  # few, so that their limit refuses some


@dataclass
class Journey:
    """One verification, and what its caller knows of it."""

    number: str
    country: str
    purpose: str
    action: str
    id: str | None = None
    blocked: Counter = field(default_factory=Counter)  # limits that refused a send, by its number
    refused: list = field(default_factory=list)  # numbers of sends that Twilio did not take
    outcomes: dict = field(default_factory=dict)  # by send: c approved, l too late
    wrong_after: int = 0  # how many sends there were when a wrong secret was last typed
    sends: int = 0  # that may be used, or were
    read: dict | None = None


class Traveller:
    """Makes journeys; repeats each call with its key until it has a response, on either server."""

    def __init__(self, system, seed, *, has_limits):
        self._system = system
        self._draw = random.Random(seed)
        self._seed = seed
        self._has_limits = has_limits
        self._calls = 0
        self._messages = {}  # by verification and send
        self.journeys = []

    async def make(self, count, *, at_once=12):
        """Make so many journeys."""
        slots = asyncio.Semaphore(at_once)
        # Long without kills: a caller who gives up does not learn that a send was refused.
        timeout = aiohttp.ClientTimeout(total=30 if self._has_limits else 5)
        headers = {"Authorization": f"Bearer {self._system.key}"}
        async with aiohttp.ClientSession(timeout=timeout, headers=headers) as self._http:

            async def make_one(index):
                async with slots:
                    journey = self._new(index)
                    self.journeys.append(journey)
                    await self._travel(journey)

            await asyncio.gather(*(make_one(index) for index in range(count)))

    def _new(self, index):
        country = self._draw.choice(list(COUNTRIES))
        action = self._draw.choice(["code", "code", "password", "link"])
        return Journey(COUNTRIES[country].format(index % 10_000), country, self._draw.choice(PURPOSES), action)

    async def _travel(self, journey):
        body = {"to": journey.number, "purpose": journey.purpose, "action": journey.action}
        if self._has_limits and self._draw.random() < 0.3:
            body["client_ip"] = self._draw.choice(ADDRESSES)
        await self._send(journey, "/v1/verifications", body)
        if journey.id is None:
            return
        for step in self._draw.choices(list(STEPS), STEPS.values(), k=self._draw.randint(0, 3)):
            if step == "resend":
                await self._send(journey, f"/v1/verifications/{journey.id}/resend", {})
            elif step != "nothing" and journey.action != "link":
                await self._check(journey, "0" * 6, purpose="other" if step == "mismatch" else None)
        [end] = self._draw.choices(list(ENDS), ENDS.values())
        if end == "cancel":
            await self._call("POST", f"/v1/verifications/{journey.id}/cancel", {})
        elif end == "lock" and journey.action != "link":
            for _ in range(5):
                await self._check(journey, "0" * 6)
        if end in ("right", "cancel") and self._draw.random() < 0.9:
            await self._answer(journey)

    async def _answer(self, journey):
        """Type the secret of a send that has arrived, then perhaps that of another one."""
        secrets = await self._secrets(journey)
        for send in self._draw.sample(sorted(secrets), min(len(secrets), self._draw.choice([1, 1, 2]))):
            if journey.action == "link":
                await self._follow(journey, secrets[send])
                return
            await self._check(journey, secrets[send], send=send)

    async def _send(self, journey, path, body):
        status, response = await self._call("POST", path, body)
        number = journey.sends + 1
        if status in (200, 201):
            journey.id, journey.sends = response["id"], len(response["sends"])
            journey.match = response.get("match") or getattr(journey, "match", None)
        elif status == 429 and response["code"] == "rate_limited":
            journey.blocked[number, response["limit"]] += 1
        elif "verification_id" in response and response["code"] != "not_pending":
            journey.refused.append(number)
            if status == 422 and journey.sends:  # refused for good: it keeps its number
                journey.sends = number
            if journey.sends == 0:
                journey.id = response["verification_id"]

    async def _check(self, journey, secret, *, send=None, purpose=None):
        body = {"password" if journey.action == "password" else "code": secret}
        if purpose:
            body["purpose"] = purpose
        status, response = await self._call("POST", f"/v1/verifications/{journey.id}/verify", body)
        if status != 200:
            return
        verdict = response["verdict"]
        if verdict in ("wrong_code", "mismatch"):
            journey.wrong_after = journey.sends
        elif verdict == "approved":
            journey.outcomes[send] = "c"
        elif verdict in ("used", "canceled", "expired", "superseded") and send and response["attempts_remaining"] >= 0:
            journey.outcomes.setdefault(send, "l")

    async def _follow(self, journey, token):
        """Answer a link on its page with the right match."""
        for _ in range(MOST_TRIES):
            url = self._system.url(self._draw.randrange(2))
            try:
                async with self._http.post(f"{url}/l/{token}", data={"match": journey.match}) as response:
                    await response.read()
                    if response.status < 500:
                        return
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(0.2)

    async def _secrets(self, journey):
        """Read the secrets of the messages that the simulator has for a verification."""
        number = journey.number.replace("+", "%2B")
        async with self._http.get(f"{self._system.dependencies.twilio_url}/_/messages?to={number}") as response:
            rows = await response.json()
        found = {}
        for row in rows:
            send = re.search(rf"/{journey.id}/(\d+)", row["status_callback"] or "")
            secret = re.search(SECRETS[journey.action], row["body"])
            if send and secret:
                found[int(send[1])] = secret[secret.re.groups]
        return found

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
            await asyncio.sleep(0.2)
        raise AssertionError(f"no response to {method} {path}")

    async def read(self):
        """Read every verification at the end."""
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {self._system.key}"}) as http:
            for journey in self.journeys:
                if journey.id is not None:
                    async with http.get(f"{self._system.url(0)}/v1/verifications/{journey.id}") as response:
                        journey.read = await response.json() if response.status == 200 else None


def recount(journeys):
    """Recount: figures by country, purpose, action and number of the send, as a report has them."""
    groups = defaultdict(lambda: defaultdict(Counter))
    for journey in journeys:
        for number, figures in _of_sends(journey):
            groups[journey.country, journey.purpose, journey.action, str(number)][figures[0]][figures[1]] += 1
    return {key: {name: dict(counts) for name, counts in figures.items()} for key, figures in groups.items()}


def _of_sends(journey):
    for (number, limit), count in journey.blocked.items():
        yield from [(number, ("blocked", limit))] * count
    if journey.id is None:
        return
    if journey.read is None:  # of a passing fault nothing is left after a minute
        assert (bool(journey.refused), journey.sends) == (True, 0), f"{journey.id} cannot be read"
    record = journey.read or {"status": "failed", "sends": []}
    status = {"pending": "open", "max_attempts_reached": "locked"}.get(record["status"], record["status"])
    yield 1, ("verifications", status)
    refused = Counter(journey.refused)
    for send in record["sends"]:
        number = send["number"]
        is_refused = refused[number] > 0 and send["status"] in ("failed", "unknown") and send["error_code"] != 30003
        if is_refused:
            refused[number] -= 1
        yield from ((number, one) for one in _of_send(journey, send, status, is_refused=is_refused))
    for number, count in refused.items():  # those that left no trace in the record
        for _ in range(count):
            yield number, ("sends", "refused")
            yield number, ("delivery", "refused")
            yield number, ("unconverted", "not_accepted")
            yield number, ("errors", None)


def _of_send(journey, send, status, *, is_refused):
    delivery = "refused" if is_refused else {"queued": "accepted"}.get(send["status"], send["status"])
    outcome = journey.outcomes.get(send["number"])
    if journey.action == "link" and send["feedback"] != "none":  # one link was followed, and its page names no verdict
        outcome = "c" if status == "approved" else "l"
    yield "delivery", delivery
    if delivery in ("refused", "undelivered", "failed"):
        yield "errors", send["error_code"]
    if outcome == "c":
        yield "sends", "confirmed"
        return
    yield "sends", "confirmed_late" if outcome == "l" else delivery
    yield "unconverted", _reason(journey, send["number"], delivery, status, is_late=outcome == "l")


def _reason(journey, number, delivery, status, *, is_late):
    for reason, holds in (
        ("too_late", is_late),
        ("not_delivered", delivery in ("undelivered", "failed")),
        ("not_accepted", delivery == "refused"),
        ("another_send", status == "approved"),
        ("open", status == "open"),
        ("wrong_codes", journey.wrong_after >= number),
        ("nothing_typed", delivery == "delivered"),
        ("not_accepted", delivery == "unknown"),
    ):
        if holds:
            return reason
    return "no_report"
