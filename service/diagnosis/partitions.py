"""Says which partitions of Redis do not work, and how to fix them."""

from service.core.partitions import PARTITIONS
from service.core.store_health import StoreHealth
from service.diagnosis.finding import Finding


def partition_findings(health: StoreHealth) -> list[Finding]:
    """Return an error for each fault, with the partitions that have it."""
    return [
        Finding("error", f"Redis, {_named(partitions)}: {fault.cause}. {fault.sentence}")
        for fault, partitions in health.by_fault().items()
    ]


def _named(partitions: list[str]) -> str:
    return "all partitions" if len(partitions) == len(PARTITIONS) else f"partitions {' '.join(partitions)}"
