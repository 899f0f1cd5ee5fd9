"""Every Redis key of the service, built in one place.

Keys that one atomic step touches share the hash tag `{p}`, the partition of the number, so the
service runs on Redis Cluster unchanged. No key holds a number, a code or a credential.
"""

from service.core.verification import partition_of

API_KEYS = "otp:keys"
HALTED = "otp:halted"
WORKER = "otp:worker"


def verification(verification_id: str) -> str:
    """Name the record of a verification."""
    return verification_prefix(partition_of(verification_id)) + verification_id


def verification_prefix(partition: str) -> str:
    """Name what the records of a partition begin with."""
    return f"otp:{{{partition}}}:v:"


def number(partition: str, number_tag: str) -> str:
    """Name the record of a phone number: its sends and its failed checks."""
    return number_prefix(partition) + number_tag


def number_prefix(partition: str) -> str:
    """Name what the numbers of a partition begin with."""
    return f"otp:{{{partition}}}:to:"


def outbox(partition: str) -> str:
    """Name the confirmations pending: SID by due time."""
    return f"otp:{{{partition}}}:outbox"


def outbox_info(partition: str) -> str:
    """Name the particulars of what is pending: by SID."""
    return f"otp:{{{partition}}}:outbox:info"


def awaiting_sid(partition: str) -> str:
    """Name the sends whose code was typed and whose SID is unknown, by when their records expire.

    `check.lua` and `deliver.lua` make this name themselves: few checks and callbacks need it.
    """
    return f"{outbox(partition)}:awaiting_sid"


def lookups(partition: str) -> str:
    """Name the same sends, by when they are next looked for at Twilio; made by the same scripts."""
    return f"{outbox(partition)}:lookups"


def outbox_failed(partition: str) -> str:
    """Name the confirmations that were given up: SID by when."""
    return f"otp:{{{partition}}}:outbox:failed"


def outbox_failed_info(partition: str) -> str:
    """Name the particulars of what was given up: by SID."""
    return f"otp:{{{partition}}}:outbox:failed:info"


def health(partition: str) -> str:
    """Name what a look at the health of a partition writes, and takes away again."""
    return f"otp:{{{partition}}}:health"


def stats(partition: str) -> str:
    """Name the counters of a partition."""
    return f"otp:{{{partition}}}:stats"


def limit(kind: str, tag: str) -> str:
    """Name a limit that lives in a slot of its own."""
    return f"otp:limit:{kind}:{tag}"


def idempotency(tag: str) -> str:
    """Name the record of an Idempotency-Key."""
    return f"otp:idem:{tag}"
