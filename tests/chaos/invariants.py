"""What must hold after a run, whatever was killed or frozen in it: each rule names what breaks it.

A call without a response may or may not have happened; a rule accuses only where neither reading explains what is seen.
A rule yields a sentence and the verification that it is about, or None.
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
# Their findings may pass by themselves while confirmations are still under way.
SETTLING = {rules_of_messages.confirmed_exactly.__name__, rules_of_messages.nothing_left.__name__}


@dataclass(frozen=True)
class Finding:
    """One thing that must not be, and the verification that it is about."""

    rule: str
    text: str
    verification_id: str | None = None


def findings(evidence):
    """Check the evidence by every rule."""
    return [Finding(rule.__name__, *finding) for rule in RULES for finding in rule(evidence)]
