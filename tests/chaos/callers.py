"""The callers of a chaos run: back ends that issue, check, resend, cancel and read, and retry lost requests.

They behave as good back ends do: a call with an Idempotency-Key is repeated with the same key and body, on either
server, until it has a response; a call without a key is never repeated. Each request is recorded with its response.
"""

import asyncio
import json
import random
import re
import time
from collections import defaultdict
from contextlib import asynccontextmanager

import aiohttp

from tests.chaos.evidence import Call, Message
from tests.chaos.plan import draw_scenario

TIMEOUT_SECONDS = 4.0  # less than the service waits for Twilio: some responses come too late
MAX_TRIES = 8
PAUSES = (0.05, 0.3, 0.8, 1.2)
WRONG_CODES = ("000000", "999999")  # a random code is one of these once in half a million


class Phone:
    """Every person's phone: receives each message when it is accepted, and knows its code."""

    def __init__(self):
        self._codes = defaultdict(dict)
        self._news = asyncio.Condition()

    @asynccontextmanager
    async def listening(self, twilio_url):
        """Listen to the simulator until the block ends."""
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(timeout=timeout) as http, http.get(f"{twilio_url}/_/events") as stream:
            assert (await stream.content.readline()).startswith(b": open")
            task = asyncio.create_task(self._listen(stream.content))
            try:
                yield self
            finally:
                task.cancel()

    async def _listen(self, lines):
        event = b""
        async for line in lines:
            if line.startswith(b"event: "):
                event = line.strip()
            elif line.startswith(b"data: ") and event == b"event: message":
                message = Message.of(json.loads(line[6:]))
                async with self._news:
                    self._codes[message.verification_id][message.send] = message.code
                    self._news.notify_all()

    async def codes(self, verification_id, seconds=1.5):
        """Return the codes of a verification by send; wait for the first one."""
        try:
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(lambda: self._codes.get(verification_id))
        except TimeoutError:
            return {}
        return dict(self._codes[verification_id])


class Caller:
    """One back end: runs scenarios, several at once, until its time is over."""

    def __init__(self, name, seed, system, phone, calls):
        self._name = name
        self._seed = seed
        self._system = system
        self._phone = phone
        self._calls = calls
        self._index = 0
        self._http = []

    async def run_until(self, ends_at, *, at_once):
        """Start scenarios until that time, and finish those that are running."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        self._http = [
            aiohttp.ClientSession(timeout=timeout, headers={"Authorization": f"Bearer {self._system.key}"})
            for _ in self._system.servers
        ]
        try:
            await asyncio.gather(*(self._run_scenarios(ends_at) for _ in range(at_once)))
        finally:
            for http in self._http:
                await http.close()

    async def _run_scenarios(self, ends_at):
        while time.time() < ends_at:
            self._index += 1
            scenario = draw_scenario(self._seed, self._name, self._index)
            await _ScenarioRun(self, scenario, f"{self._name}.{self._index}", ends_at).run()
            await asyncio.sleep(0.01)

    async def codes(self, verification_id):
        """Return the codes that have arrived so far."""
        return await self._phone.codes(verification_id)

    async def call(self, call, path, body):
        """Make one request; record it with its response."""
        self._calls.append(call)
        headers = {"Idempotency-Key": call.key} if call.key else {}
        method = "GET" if call.operation == "read" else "POST"
        url = self._system.url(call.server) + path
        try:
            async with self._http[call.server].request(method, url, json=body, headers=headers) as response:
                text = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError):
            call.ended = time.time()
            return call
        call.ended, call.status = time.time(), response.status
        call.body = json.loads(text) if text else None
        call.is_replay = response.headers.get("Idempotent-Replayed") == "true"
        if call.operation == "issue" and call.body:
            call.verification_id = call.body.get("id") or call.body.get("verification_id")
        return call


class _ScenarioRun:
    """One run of a scenario."""

    def __init__(self, caller, scenario, name, ends_at):
        self._caller = caller
        self._scenario = scenario
        self._name = name
        self._ends_at = ends_at
        self._draw = random.Random(scenario.seed + "/play")
        self._groups = 0

    async def run(self):
        issued = await asyncio.gather(*(self._issue() for _ in range(self._scenario.issues)))
        for verification_id in filter(None, issued):
            for step in self._scenario.steps:
                await asyncio.sleep(step.pause)
                await self._run_step(step, verification_id)

    async def _issue(self):
        group = self._new_group()
        body = {"to": self._scenario.number, "reference": group}
        call = await self._request("issue", group, "/v1/verifications", body, keyed=self._scenario.keyed)
        if self._scenario.repeated and self._scenario.keyed and call.is_done:
            again = [self._request("issue", group, "/v1/verifications", body, keyed=True) for _ in range(2)]
            await asyncio.gather(*again)
        return call.verification_id if call.is_done else None

    async def _run_step(self, step, verification_id):
        path = f"/v1/verifications/{verification_id}"
        if step.kind == "read":
            await self._request("read", self._new_group(), path, None, verification_id=verification_id)
        elif step.kind in {"resend", "resend_race", "cancel"}:
            operation = step.kind.removesuffix("_race")
            calls = [self._resend_or_cancel(operation, path, verification_id, step) for _ in range(step.times)]
            await asyncio.gather(*calls)
        else:
            await self._check(step, path, verification_id)

    async def _check(self, step, path, verification_id):
        codes = await self._caller.codes(verification_id)
        wrong = next(code for code in WRONG_CODES if code not in codes.values())
        right = codes[min(codes) if step.kind == "first_code" else max(codes)] if codes else wrong
        body = {"code": wrong if step.kind.startswith("wrong") else right}
        if step.kind == "mismatch":
            body["purpose"] = "payment"
        path += "/verify"
        known = {"verification_id": verification_id, "code": body["code"], "keyed": step.keyed}
        groups = [self._new_group() for _ in range(step.times)]
        calls = [self._request("check", group, path, body, **known) for group in groups]
        if step.kind == "cancel_race":
            calls.append(self._resend_or_cancel("cancel", path.removesuffix("/verify"), verification_id, step))
        await asyncio.gather(*calls)
        if step.kind == "right_repeated":  # the same call again with its key; without a key it is another call
            for group in groups * 2:
                again = group if step.keyed else self._new_group()
                await self._request("check", again, path, body, **known)

    async def _resend_or_cancel(self, operation, path, verification_id, step):
        return await self._request(
            operation, self._new_group(), f"{path}/{operation}", {}, verification_id=verification_id, keyed=step.keyed
        )

    async def _request(self, operation, group, path, body, *, keyed=False, **known):
        """Make a call; with a key, repeat it until it has a response or the run has been over for some seconds."""
        key = f"{group}-{self._scenario.seed}" if keyed and operation in {"issue", "check", "resend"} else None
        key = None if key is None else re.sub(r"[^!-~]", "-", key)
        for _ in range(MAX_TRIES):
            server = self._draw.randrange(2)
            call = await self._caller.call(Call(operation, group, server, time.time(), key=key, **known), path, body)
            is_settled = not call.is_open and call.status != 503 and call.problem != "request_in_progress"
            if key is None or is_settled or time.time() > self._ends_at + 3:
                break
            await asyncio.sleep(self._draw.choice(PAUSES))
        return call

    def _new_group(self):
        self._groups += 1
        return f"{self._name}#{self._groups}"
