"""Which partitions of Redis work, and why the others do not, for `/readyz`, `check`, the log and the metrics.

A partition is healthy if an issue and a check can be written there. The adapter makes the test, and knows the fix for
each cause.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class StoreCause(StrEnum):
    """Why a step failed. `/readyz`, the log and the metrics use the same words."""

    REFUSED = "refused"
    UNKNOWN_HOST = "unknown_host"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    EVENT_LOOP_LATE = "event_loop_late"
    CONNECTION_LOST = "connection_lost"
    OVERLOADED = "overloaded"
    NOT_REDIS = "not_redis"
    TLS_NEEDED = "tls_needed"
    TLS_NOT_SPOKEN = "tls_not_spoken"
    TLS_UNKNOWN_CA = "tls_unknown_ca"
    TLS_HOST_NAME = "tls_host_name"
    TLS_EXPIRED = "tls_expired"
    TLS_CLIENT_CERTIFICATE = "tls_client_certificate"
    TLS = "tls"
    PASSWORD_MISSING = "password_missing"  # noqa: S105 - the name of a cause
    PASSWORD_WRONG = "password_wrong"  # noqa: S105
    PROTECTED_MODE = "protected_mode"
    TOO_MANY_CLIENTS = "too_many_clients"
    DATABASE = "database"
    NO_PERMISSION = "no_permission"
    UNKNOWN_COMMAND = "unknown_command"
    REPLICA = "replica"
    PRIMARY_DOWN = "primary_down"
    NO_PRIMARY = "no_primary"
    TOO_FEW_REPLICAS = "too_few_replicas"
    NOT_REPLICATED = "not_replicated"
    MOVED = "moved"
    CROSS_SLOT = "cross_slot"
    NOT_A_CLUSTER = "not_a_cluster"
    CLUSTER_DOWN = "cluster_down"
    OUT_OF_MEMORY = "out_of_memory"
    DISK = "disk"
    LOADING = "loading"
    BUSY_SCRIPT = "busy_script"
    UNREADABLE = "unreadable"
    NEWER_FORMAT = "newer_format"
    UNKNOWN = "unknown"


class StoreFault(NamedTuple):
    """One cause with the fix in a sentence, and what exactly is missing where the store says so."""

    cause: StoreCause
    fix: str
    detail: str = ""

    @property
    def sentence(self) -> str:
        """The fix, with what is missing."""
        return f"{self.fix} Missing: {self.detail}." if self.detail else self.fix


UNKNOWN = StoreFault(StoreCause.UNKNOWN, "See the logs of the service and of Redis.")
UNREADABLE = StoreFault(
    StoreCause.UNREADABLE, "A record cannot be read: the key that wrote it is missing from OTP_SECRET_KEYS."
)
NEWER_FORMAT = StoreFault(
    StoreCause.NEWER_FORMAT,
    "A newer version of the service wrote a record that this one cannot read: update this host too.",
)


class StoreUnavailable(Exception):
    """Redis did not answer in time or refused a write; nothing may be assumed about the step."""

    def __init__(self, what: str = "", fault: StoreFault = UNKNOWN) -> None:
        super().__init__(what)
        self.fault = fault

    @property
    def cause(self) -> StoreCause:
        """Why: one word of a closed set."""
        return self.fault.cause


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """Which partitions could not write an issue and a check at the last look, and whether the API keys can be read."""

    partitions: tuple[str, ...]
    faults: Mapping[str, StoreFault]  # by partition; one that is not here works
    api_keys: StoreFault | None = None
    lacking: tuple[str, ...] = ()  # commands of other steps, such as the worker, as `faults.lacking` takes them

    @property
    def is_ready(self) -> bool:
        """Tell whether any partition does the work."""
        return len(self.faults) < len(self.partitions)

    def by_fault(self) -> dict[StoreFault, list[str]]:
        """Group the partitions that do not work by what is wrong with them."""
        grouped: dict[StoreFault, list[str]] = {}
        for partition in self.partitions:
            if partition in self.faults:
                grouped.setdefault(self.faults[partition], []).append(partition)
        return grouped
