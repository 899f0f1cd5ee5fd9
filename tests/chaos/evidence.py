"""The evidence of a run: every call with its response, the faults as they happened, and the final state of all parts.

A call without a response may or may not have happened; the same holds if the response only says that the store did not
answer. This module decides nothing (`invariants` does).
"""

import asyncio
import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import aiohttp

_CALLBACK = re.compile(r"//[^/]+:(\d+)/twilio/status/(ve_[0-9a-f]{32})/(\d+)")
SHOWN_FIELDS = ("code", "verdict", "status", "attempts_remaining")  # fields of a response that a history shows
_CODE = re.compile(r"\b\d{6}\b")


@dataclass
class Call:
    """One request and its response; calls that repeat each other under one Idempotency-Key share their `group`."""

    operation: str
    group: str
    server: int
    started: float
    key: str | None = None
    verification_id: str | None = None
    code: str | None = None
    ended: float | None = None
    status: int | None = None  # None: no response
    body: dict | None = None
    is_replay: bool = False

    @property
    def is_done(self):
        """Return whether the response reports success."""
        return self.status is not None and self.status < 300

    @property
    def problem(self):
        """Return the code of the problem in the response, or None."""
        return None if self.is_done or not self.body else self.body.get("code")

    @property
    def is_open(self):
        """Return whether it is unknown if the call took effect."""
        return self.status is None or self.problem == "store_unavailable" or self.status in {500, 502, 504}

    @property
    def verdict(self):
        """Return the verdict of a check that has a response."""
        return self.body["verdict"] if self.operation == "check" and self.is_done else None

    def __str__(self):
        reported = {name: (self.body or {}).get(name) for name in SHOWN_FIELDS}
        shown = " ".join(f"{name}={value}" for name, value in reported.items() if value is not None)
        sends = [f"{send['number']}:{send['status']}/{send['feedback']}" for send in (self.body or {}).get("sends", ())]
        lasted = "no response" if self.status is None else f"{self.status}{' replayed' if self.is_replay else ''}"
        return (
            f"{self.started:.3f} +{(self.ended or self.started) - self.started:.3f} s  {self.operation:6} {self.group}"
            f"{' keyed' if self.key else ''} server {self.server} code {self.code}: {lasted} {shown} {' '.join(sends)}"
        )


@dataclass(frozen=True)
class InjectedFault:
    """A fault as it happened, with its start and end."""

    target: str | int
    kind: str
    started: float
    ended: float

    def __str__(self):
        return f"{self.started:.3f} +{self.ended - self.started:.3f} s  {self.kind} of {self.target}"


@dataclass(frozen=True)
class Message:
    """A message that the simulator accepted, and the send that it belongs to."""

    sid: str
    verification_id: str
    send: int
    code: str
    number: str
    server_port: int
    accepted_at: float
    outcome: str | None

    @classmethod
    def of(cls, row):
        """Parse a row of /_/messages."""
        port, verification_id, send = _CALLBACK.search(row["status_callback"]).groups()
        return cls(
            row["sid"], verification_id, int(send), _CODE.search(row["body"])[0], row["to"], int(port),
            moment(row["created_at"]), row["outcome"],
        )  # fmt: skip

    def __str__(self):
        return f"{self.accepted_at:.3f}  message {self.sid} of send {self.send}, code {self.code}: {self.outcome}"


@dataclass
class Evidence:
    """Everything that is known after a run."""

    settings: dict
    ports: list[int]
    calls: list[Call] = field(default_factory=list)
    injected: list[InjectedFault] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    feedback: list[dict] = field(default_factory=list)
    callbacks: list[dict] = field(default_factory=list)
    read: dict[str, dict | None] = field(default_factory=dict)  # the final state of each verification
    outbox: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    awaiting_sid: list[str] = field(default_factory=list)  # id|send, as the metrics count them
    without_ttl: list[str] = field(default_factory=list)

    async def collect(self, twilio_url, service_url, key, redis):
        """Read the final state, once the faults are over."""
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as http:
            self.messages = [Message.of(row) for row in await _get(http, f"{twilio_url}/_/messages")]
            self.feedback = await _get(http, f"{twilio_url}/_/feedback")
            self.callbacks = await _get(http, f"{twilio_url}/_/callbacks")
            known = {message.verification_id for message in self.messages}
            known |= {call.verification_id for call in self.calls if call.verification_id}
            reads = (_get(http, f"{service_url}/v1/verifications/{name}", may_miss=True) for name in sorted(known))
            self.read = dict(zip(sorted(known), await asyncio.gather(*reads), strict=True))
        keys = [key.decode() for key in redis.scan_iter(count=1000)]
        self.without_ttl = [key for key in keys if redis.ttl(key) == -1 and key != "otp:keys"]
        self.outbox, self.failed, self.awaiting_sid = (
            [member.decode() for key in keys if key.endswith(suffix) for member in redis.zrange(key, 0, -1)]
            for suffix in (":outbox", ":failed", ":awaiting_sid")
        )
        for name in ("of_verification", "by_group", "sent"):
            self.__dict__.pop(name, None)

    @cached_property
    def of_verification(self):
        """Return the calls of each verification, in the order in which they started."""
        return _grouped(self.calls, lambda call: call.verification_id)

    @cached_property
    def by_group(self):
        """Return the calls of each group, in the order in which they started."""
        return _grouped(self.calls, lambda call: call.group)

    @cached_property
    def sent(self):
        """Return the messages of each verification, in the order of their sends."""
        in_order = sorted(self.messages, key=lambda message: message.send)
        return _grouped(in_order, lambda message: message.verification_id)

    def message_of(self, call):
        """Return the message whose code a check submitted; None for a wrong code."""
        return next((one for one in self.sent.get(call.verification_id, ()) if one.code == call.code), None)

    def was_hit(self, target, since, until, kinds=("kill",)):
        """Return whether a fault of these kinds hit a target between two instants."""
        return any(
            fault.target == target and fault.kind in kinds and fault.started <= until and fault.ended >= since
            for fault in self.injected
        )

    def outages(self, at):
        """Return the faults of Redis that were active at an instant."""
        return [fault for fault in self.injected if fault.target == "redis" and fault.started <= at <= fault.ended]

    def history(self, verification_id):
        """Return the history of one verification, one event a line."""
        calls = self.of_verification.get(verification_id, [])
        groups = {call.group for call in calls}
        calls = [call for call in self.calls if call.group in groups]
        lines = [*calls, *self.sent.get(verification_id, [])]
        sids = {message.sid for message in self.sent.get(verification_id, [])}
        if calls:
            since, until = calls[0].started - 5, max(call.ended or call.started for call in calls) + 15
            lines += [fault for fault in self.injected if fault.started <= until and fault.ended >= since]
        reported = [f"{moment(post['at']):.3f}  feedback {post}" for post in self.feedback if post["sid"] in sids]
        reported += [f"{moment(post['at']):.3f}  callback {post}" for post in self.callbacks if post["sid"] in sids]
        return "\n".join(sorted([*map(str, lines), *reported])) + f"\nat the end: {self.read.get(verification_id)}"


def moment(text):
    """Parse an instant into seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


def _grouped(things, name):
    grouped = defaultdict(list)
    for thing in things:
        grouped[name(thing)].append(thing)
    return dict(grouped)


async def _get(http, url, *, may_miss=False):
    async with http.get(url) as response:
        if may_miss and response.status == 404:
            return None
        assert response.status == 200, (url, response.status)
        return await response.json()
