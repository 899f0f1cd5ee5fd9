"""The invariants that must hold after a run, whichever faults it had: each rule reports what violates it.

A call without a response may or may not have happened; a rule reports a violation only if neither case explains the
evidence. A rule yields a sentence and the verification that it is about, or None.
"""

from dataclasses import dataclass

from tests.chaos import rules_of_checks, rules_of_messages

RULES = (
    rules_of_checks.approved_once,
    rules_of_checks.attempts_counted,
    rules_of_checks.ended_once,
    rules_of_checks.right_codes_accepted,
    rules_of_messages.confirmed_exactly,
    rules_of_messages.repeated_confirmations_explained,
    rules_of_messages.one_key_one_message,
    rules_of_messages.one_key_one_response,
    rules_of_messages.limits_enforced,
    rules_of_messages.nothing_left,
    rules_of_messages.keys_expire,
)
# Their findings may disappear while confirmations are still being delivered.
SETTLING = {rules_of_messages.confirmed_exactly.__name__, rules_of_messages.nothing_left.__name__}


@dataclass(frozen=True)
class Finding:
    """One violation, and the verification that it is about."""

    rule: str
    text: str
    verification_id: str | None = None


def findings(evidence):
    """Apply every rule to the evidence."""
    return [Finding(rule.__name__, *finding) for rule in RULES for finding in rule(evidence)]
