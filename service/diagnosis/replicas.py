"""Compares `OTP_WAIT_REPLICAS` with the replicas of each primary: it says what a failover could lose.

INFO calls a replica online for a minute after it has frozen, so waits are tried too: twice, because a replica that has
just connected is late once.
"""

from collections.abc import Mapping, Sequence

from service.diagnosis.finding import Finding
from service.diagnosis.partitions import partition_findings
from service.store.health import RedisHealth
from service.store.scripts import Scripts

_LOST = "A failover can lose approvals: their codes could be used again, and their confirmations would never be made."

_LOOKS = 2


async def wait_findings(
    scripts: Scripts, waited_for: int, infos: Sequence[Mapping[str, str]], *, is_working: bool
) -> list[Finding]:
    """Return what is wrong, by the INFO of the primaries and, if Redis works otherwise, by a wait in each partition."""
    findings = replica_findings(waited_for, infos)
    if not waited_for or any(finding.level == "error" for finding in findings):
        return findings
    look, failed = RedisHealth(scripts), list[Finding]()
    for _ in range(_LOOKS if is_working else 0):
        failed = partition_findings(await look.look_at_replicas())
        if not failed:
            break
    return failed + [finding for finding in findings if finding.level != "ok" or (is_working and not failed)]


def replica_findings(waited_for: int, infos: Sequence[Mapping[str, str]]) -> list[Finding]:
    """Return what is wrong; `infos` are the INFO of the primaries."""
    seen = [_replicas(info) for info in infos]
    fewest, most = min(seen), max(seen)
    if not waited_for:
        text = f"Redis has replicas, and OTP_WAIT_REPLICAS is 0. {_LOST} Set OTP_WAIT_REPLICAS={most}."
        return [Finding("warn", text)] if most else []
    if fewest < waited_for:
        text = (
            f"OTP_WAIT_REPLICAS is {waited_for}, and a primary of Redis has {fewest} replicas: every approval there "
            "gets 503. Start the missing replicas, or lower the setting."
        )
        return [Finding("error", text)]
    if most > waited_for:
        text = (
            f"OTP_WAIT_REPLICAS is {waited_for}, and a primary of Redis has {most} replicas: one that was not waited "
            f"for may be promoted. {_LOST} Set OTP_WAIT_REPLICAS={most}."
        )
        return [Finding("warn", text)]
    text = (
        f"Approvals wait for {waited_for} of {most} replicas of each primary. While one of them is down, and after a "
        "failover until the old primary follows the new one, they get 503."
    )
    return [Finding("ok", text)]


def _replicas(info: Mapping[str, str]) -> int:
    """Count the replicas that follow a primary now."""
    return sum(name.startswith("slave") and "state=online" in value for name, value in info.items())
