"""The responses of /readyz: which partitions work, why others do not, and the state of sending and confirming."""

from typing import Literal, Protocol

from pydantic import BaseModel, Field

from service.core.partitions import PARTITIONS
from service.core.store_health import StoreCause, StoreFault, StoreHealth
from service.http.problems import HttpProblem

RETRY_AFTER_SECONDS = 1.0
LATE_SECONDS = 0.5  # callers notice a process that is so late, and time-outs expire
_REFUSED = StoreFault(
    StoreCause.REFUSED, "Nothing listens where REDIS_URL points: start Redis there, or correct the host, port or path."
)
_ALL_REFUSED = StoreHealth(tuple(PARTITIONS), dict.fromkeys(PARTITIONS, _REFUSED))


class QueueState(Protocol):
    """The state of the confirmations in the outbox."""

    @property
    def pending(self) -> int:
        """How many are pending."""

    @property
    def failed(self) -> int:
        """How many were given up."""

    @property
    def oldest_seconds(self) -> float:
        """How long the oldest one has been pending."""

    @property
    def halted(self) -> str | None:
        """Why they are not posted."""

    @property
    def is_worked(self) -> bool:
        """Whether some worker is alive."""


class WaitState(Protocol):
    """The state of the waits for replicas."""

    @property
    def state(self) -> str:
        """`ok`, or why one failed within the last minute."""

    @property
    def longest_seconds(self) -> float:
        """The longest one within the last minute."""


class StoreTrouble(BaseModel):
    """Partitions that do not work, all for the same reason."""

    partitions: list[str] = Field(
        description="The first hex digits, after `ve_`, of the verifications concerned.", examples=[["0", "5"]]
    )
    cause: str = Field(
        description="Why, in one word.",
        examples=["moved"],
        json_schema_extra={"enum": [cause.value for cause in StoreCause]},
    )
    fix: str = Field(
        description="What an operator should do.", examples=["REDIS_URL names one node of a cluster: write …"]
    )


class ReadinessResponse(BaseModel):
    """At least one partition can issue and check codes."""

    status: Literal["ready"] = "ready"
    store: Literal["ok", "partly"] = Field(
        description="`partly` if some partitions cannot issue and check codes. A number never changes its partition."
    )
    unavailable: list[StoreTrouble] | None = Field(
        default=None, description="The partitions that do not work, and why; absent when all work."
    )
    process: str = Field(
        description="`ok`, or why this process is slow. A `timeout` of Redis may then be its fault.", examples=["ok"]
    )
    api_keys: str = Field(
        description="`ok`, or why the API keys cannot be read. Known keys then work for 10 minutes; new ones do not.",
        examples=["ok"],
    )
    sending: str = Field(
        description="`ok`, or why this process sends no messages. Checks continue.",
        examples=["ok"],
    )
    replicas: str | None = Field(
        default=None,
        description=(
            "`ok`, or why waits for replicas failed, so that approvals and issues got 503. "
            "Absent without `OTP_WAIT_REPLICAS`."
        ),
        examples=["ok"],
    )
    confirming: str = Field(description="`ok`, or why confirmations are not posted. Checks continue.", examples=["ok"])
    outbox_pending: int | None = Field(
        default=None, description="Confirmations that Twilio has not taken yet; absent when unknown."
    )
    outbox_failed: int | None = Field(
        default=None, description="Confirmations given up in the last 14 days; absent when unknown."
    )


def readiness_response(
    health: StoreHealth, queue: QueueState | None, *, sending: str, process: str, waits: WaitState | None = None
) -> ReadinessResponse:
    """Say what works. The response is 200 even if part of the queue does not answer, since checks do not need it."""
    answer = ReadinessResponse(
        store="partly" if health.faults else "ok",
        unavailable=_troubles(health) or None,
        process=process,
        api_keys="ok" if health.api_keys is None else health.api_keys.cause.value,
        sending=sending,
        replicas=None if waits is None else waits.state,
        confirming="unknown: part of the queue does not answer",
    )
    if queue is not None:
        answer.outbox_pending, answer.outbox_failed = queue.pending, queue.failed
        answer.confirming = "ok" if queue.is_worked else "no worker is alive"
        if queue.halted is not None:
            answer.confirming = f"halted: {queue.halted}"
    return answer


def not_ready(health: StoreHealth = _ALL_REFUSED) -> HttpProblem:
    """Say why nothing works. The text is for operators: proxies should not expose /readyz."""
    told = [f"Partitions {' '.join(one.partitions)}: {one.cause}. {one.fix}" for one in _troubles(health)]
    return HttpProblem("store_unavailable", " ".join(told), retry_after_seconds=RETRY_AFTER_SECONDS)


def _troubles(health: StoreHealth) -> list[StoreTrouble]:
    return [
        StoreTrouble(partitions=partitions, cause=fault.cause.value, fix=fault.sentence)
        for fault, partitions in health.by_fault().items()
    ]


def draining() -> HttpProblem:
    """Make the response of a process that is stopping."""
    return HttpProblem("draining", retry_after_seconds=RETRY_AFTER_SECONDS)
