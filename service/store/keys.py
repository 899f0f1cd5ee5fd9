"""Every Redis key of the service, built in one place.

Keys that one atomic step touches share the hash tag `{p}`, the partition of the number, so the
service runs on Redis Cluster unchanged. No key holds a number, a code or a credential.
"""

from service.core.actions import Action
from service.core.verification import partition_of

API_KEYS = "otp:keys"


def verification(verification_id: str) -> str:
    """Name the record of a verification."""
    return verification_prefix(partition_of(verification_id)) + verification_id


def verification_prefix(partition: str) -> str:
    """Name the prefix of the verifications of a partition."""
    return f"otp:{{{partition}}}:v:"


def number(partition: str, number_tag: str) -> str:
    """Name the record of a phone number: its sends and its failed checks."""
    return number_prefix(partition) + number_tag


def number_prefix(partition: str) -> str:
    """Name the prefix of the numbers of a partition."""
    return f"otp:{{{partition}}}:to:"


def link(partition: str, digest: bytes) -> str:
    """Name what leads from the token of a link to its verification. `links.lua` builds this name too."""
    return f"otp:{{{partition}}}:link:{digest.hex()}"


def links_of(verification_id: str, action: Action, digest: bytes) -> list[str]:
    """Name the link of a send; only the action `link` has one."""
    return [link(partition_of(verification_id), digest)] if action is Action.LINK else []


def outbox(partition: str, kind: str = "") -> str:
    """Name the pending entries of one kind: key by due time. `""` is the kind of confirmations, whose keys are SIDs.

    No kind may be called `info`, `failed`, `awaiting_sid` or `lookups`: keys of the confirmations end like that.
    """
    return f"otp:{{{partition}}}:outbox:{kind}" if kind else f"otp:{{{partition}}}:outbox"


def outbox_info(partition: str, kind: str = "") -> str:
    """Name the particulars of the pending entries, by key."""
    return f"{outbox(partition, kind)}:info"


def awaiting_sid(partition: str) -> str:
    """Name the sends whose code was typed and whose SID is unknown, by when their records expire.

    `check.lua` and `deliver.lua` build this name themselves: few checks and callbacks need it.
    """
    return f"{outbox(partition)}:awaiting_sid"


def lookups(partition: str) -> str:
    """Name the same sends, by when the provider is next asked for them; the same scripts write this name."""
    return f"{outbox(partition)}:lookups"


def fallbacks(partition: str) -> str:
    """Name the verifications whose next channel waits, by when it is due. `further.lua` builds this name too."""
    return f"otp:{{{partition}}}:fallbacks"


def outbox_failed(partition: str, kind: str = "") -> str:
    """Name the failed entries of one kind: key by when it failed."""
    return f"{outbox(partition, kind)}:failed"


def outbox_failed_info(partition: str, kind: str = "") -> str:
    """Name the particulars of the failed entries, by key."""
    return f"{outbox_failed(partition, kind)}:info"


def halted(kind: str = "") -> str:
    """Name the note that says why the delivery of one kind is halted."""
    return f"otp:halted:{kind}" if kind else "otp:halted"


def worker(kind: str = "") -> str:
    """Name the note that a worker of one kind is alive."""
    return f"otp:worker:{kind}" if kind else "otp:worker"


def health(partition: str) -> str:
    """Name the key that a health check of a partition writes and deletes."""
    return f"otp:{{{partition}}}:health"


def replication_marker(partition: str) -> str:
    """Name the key that is written where replicas are waited for."""
    return f"otp:{{{partition}}}:marker"


def stats(partition: str) -> str:
    """Name the counters of a partition."""
    return f"otp:{{{partition}}}:stats"


def funnel_prefix(partition: str) -> str:
    """Name the prefix of the conversion counters of a partition; `funnel.lua` builds their names."""
    return f"otp:{{{partition}}}:funnel:"


def funnel_open(partition: str) -> str:
    """Name the list of the hours and days that a partition counts in."""
    return f"{funnel_prefix(partition)}open"


def funnel_due(partition: str) -> str:
    """Name the verifications by the end of their last code."""
    return f"{funnel_prefix(partition)}due"


def funnel_unconverted(partition: str) -> str:
    """Name the log of sends that did not convert."""
    return f"{funnel_prefix(partition)}unconverted"


def funnel_taking(partition: str, name: str) -> list[str]:
    """Name what is needed to take the counters of an hour (`h…`) or day (`d…`)."""
    prefix = funnel_prefix(partition)
    return [f"{prefix}{name}", f"{prefix}{name}:taken", f"{prefix}takes"]


def funnel_taken(partition: str, name: str) -> list[str]:
    """Name what is needed to forget counters that were taken."""
    counters, taken, _ = funnel_taking(partition, name)
    return [taken, counters, funnel_open(partition)]


def funnel_merged(name: str) -> str:
    """Name the merged counters of all partitions; the partitions take turns."""
    return f"{funnel_prefix(f'{int(name[1:]) % 16:x}')}all:{name}"


def limit(kind: str, tag: str, partition: str | None = None) -> str:
    """Name a limit that is not bound to a number: it has its own slot, and its spare counters lie with partitions."""
    return f"otp:limit:{kind}:{tag}" if partition is None else f"otp:{{{partition}}}:limit:{kind}:{tag}"


def session(tag: str) -> str:
    """Name the session of an operator on the dashboard."""
    return f"otp:session:{tag}"


def idempotency(tag: str) -> str:
    """Name the record of an Idempotency-Key."""
    return f"otp:idem:{tag}"
