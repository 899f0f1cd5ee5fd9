"""The policy of records and checks."""

from dataclasses import dataclass

from service.core.channels import Channel
from service.core.limits import Limits


@dataclass(frozen=True, slots=True)
class RecordPolicy:
    """What the settings say of records and checks."""

    late_window_seconds: int
    max_attempts: int
    max_sends: int
    supersede_codes: bool
    number: Limits  # sends to one number
    failed_checks: Limits  # of one number, over all its verifications: beyond it no new code is sent
    most_failed_in_a_row: int  # of one number since its last approval: at it everything stops
    confirmed_channels: frozenset[Channel]  # whose messages are confirmed
    waits_for_replicas: bool = False  # an approval is told only when they have it
