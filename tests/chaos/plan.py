"""The plan of a chaos run, drawn from its seed alone: which fault starts when, and which scenarios each caller runs.

The same seed gives the same plan. The processes also depend on the machine, so a replay has the same faults at the
same times, not the same interleaving of every call.
"""

import random
from dataclasses import dataclass, field

LEASE_MS = 10_000  # of Idempotency-Keys and of confirmations, in the servers of a run (`server_patches`)
PAST_LEASE_SECONDS = LEASE_MS / 1000 + 1.5
CALM_SECONDS = 3.0  # no server is frozen or killed so close to the end: the quiet period would have to wait for it
# The first part of a seed, in the order of the rounds. "redis" is first because it is the strictest: without a fault of
# a server, no lost SID and no second confirmation is acceptable.
THEMES = ("redis", "everything", "servers")

# The duration of each kind in seconds; for a kill, the time until the process is restarted.
SERVER_FAULTS = {"kill": (0.0, 0.8), "freeze": (0.5, 3.0), "freeze_past_lease": (PAST_LEASE_SECONDS,) * 2}
REDIS_FAULTS = {"kill": (0.1, 1.0), "kill_for_long": (3.5, 4.5), "freeze": (0.5, 3.0)}  # a failover takes as long
SERVER_FAULT_SETS = (("kill", "freeze_past_lease", "kill"), ("kill", "freeze", "kill", "freeze", "kill"))
REDIS_FAULT_SET = ("kill", "kill_for_long", "freeze", "freeze")
# In the format of the simulator's /_/faults. No response to feedback takes longer than the service waits (5 s): such a
# response would be lost, and the second POST that follows would not be an error of the service.
TWILIO_FAULTS = (
    {"endpoint": "messages", "kind": "500", "count": 2},
    {"endpoint": "messages", "kind": "503", "count": 1},
    {"endpoint": "messages", "kind": "lost_response", "count": 3},
    {"endpoint": "messages", "kind": "slow", "count": 2, "seconds": 6},  # accepted after the service gave up
    {"endpoint": "messages", "kind": "slow", "count": 20, "seconds": 0.4},
    {"endpoint": "messages", "kind": "slow", "count": 10, "seconds": 0.9},
    {"endpoint": "messages", "kind": "hang", "count": 1, "seconds": 6},
    {"endpoint": "messages", "kind": "reset", "count": 2},
    {"endpoint": "messages", "kind": "garbage", "count": 2},
    {"endpoint": "messages", "kind": "429", "count": 3, "seconds": 1},
    {"endpoint": "messages", "kind": "429", "count": 2, "seconds": 3},
    {"endpoint": "feedback", "kind": "500", "count": 6},
    {"endpoint": "feedback", "kind": "429", "count": 4, "seconds": 2},
    {"endpoint": "feedback", "kind": "lost_response", "count": 4},
    {"endpoint": "feedback", "kind": "slow", "count": 3, "seconds": 1},
    {"endpoint": "feedback", "kind": "hang", "count": 2, "seconds": 6},
    {"endpoint": "callbacks", "kind": "drop", "count": 10},
    {"endpoint": "callbacks", "kind": "late", "count": 6, "seconds": 3},
    {"endpoint": "callbacks", "kind": "double", "count": 6},
    {"endpoint": "callbacks", "kind": "out_of_order", "count": 6},
    {"endpoint": "callbacks", "kind": "before", "count": 4},
)

STEPS = {  # the steps of a scenario after its issue, with the weight of each
    "right": 6, "right_race": 4, "right_repeated": 3, "first_code": 4, "wrong": 5, "wrong_race": 3, "mismatch": 1,
    "resend": 6, "resend_race": 2, "cancel": 1, "cancel_race": 2, "read": 2,
}  # fmt: skip
BUSY_NUMBERS = 4  # shared by all callers, so that they reach the limits of a number
FRESH_NUMBERS = 9_000


@dataclass(frozen=True)
class Fault:
    """A planned fault: its start, its target (the index of a server, "redis" or "twilio") and its duration."""

    at: float
    target: str | int
    kind: str
    seconds: float = 0.0
    twilio: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One step of a scenario: `times` concurrent calls, with an Idempotency-Key if `keyed`, after a pause."""

    kind: str
    times: int
    keyed: bool
    pause: float


@dataclass(frozen=True)
class Scenario:
    """The calls that one caller makes for one number."""

    number: str
    issues: int  # concurrent, each with its own key
    keyed: bool
    repeated: bool  # the issue is repeated with its key although it has a response
    steps: tuple[Step, ...]
    seed: str


def draw_scenario(seed, caller, index):
    """Draw the scenario number `index` of a caller."""
    name = f"{seed}/{caller}/{index}"
    draw = random.Random(name)
    is_busy = draw.random() < 0.15
    number = f"+1415555{draw.randrange(BUSY_NUMBERS) if is_busy else BUSY_NUMBERS + draw.randrange(FRESH_NUMBERS):04d}"
    kinds = draw.choices(list(STEPS), list(STEPS.values()), k=draw.randint(2, 6))
    steps = tuple(
        Step(kind, _times(kind, draw), keyed=draw.random() < 0.5, pause=draw.choice((0, 0, 0.02, 0.3)))
        for kind in kinds
    )
    issues = draw.randint(2, 5) if is_busy else 1
    return Scenario(number, issues, draw.random() < 0.7, draw.random() < 0.3, steps, name)


def _times(kind, draw):
    if kind == "wrong_race":
        return draw.randint(4, 8)
    return draw.randint(2, 4) if kind.endswith("race") else 1


def settings_of(seed):
    """Draw the settings of the servers that differ between rounds."""
    return {"OTP_SUPERSEDE_CODES": "true"} if random.Random(f"{seed}/settings").random() < 0.5 else {}


def faults(seed, seconds):
    """Draw the faults of a run; faults of one target never overlap."""
    draw = random.Random(f"{seed}/faults")
    theme = seed.partition("-")[0]
    fault_sets = list(SERVER_FAULT_SETS)
    draw.shuffle(fault_sets)
    planned = []
    for index, fault_set in enumerate(fault_sets):
        if theme != "redis":
            planned += _timeline(draw, index, fault_set, SERVER_FAULTS, seconds - CALM_SECONDS)
    if theme != "servers":
        planned += _timeline(draw, "redis", REDIS_FAULT_SET, REDIS_FAULTS, seconds)
    at = 0.5
    while at < seconds - 1:
        planned.append(Fault(at, "twilio", "plan", twilio=draw.choice(TWILIO_FAULTS)))
        at += draw.uniform(0.4, 1.4)
    return sorted(planned, key=lambda fault: fault.at)


def _timeline(draw, target, fault_set, lengths, seconds):
    """Schedule the faults of the set in random order, repeatedly, until the time is over."""
    timeline, at = [], draw.uniform(1, 3)
    while True:
        for kind in draw.sample(fault_set, len(fault_set)):
            length = draw.uniform(*lengths[kind])
            if at + length > seconds:
                return timeline
            timeline.append(Fault(at, target, kind, length))
            at += length + draw.uniform(2.5, 5)
