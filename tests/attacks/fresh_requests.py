"""A hook for schemathesis: what a request needs to be accepted and the document cannot say.

Each has its own Idempotency-Key: one that is reused with another body is refused by design, and generated keys repeat.
A national number has its country: schemathesis varies one field of an example at a time.
"""

from uuid import uuid4

import schemathesis


@schemathesis.hook
def before_call(_context, case, _options):
    """Complete a valid request; do not change the invalid ones."""
    if not case.meta.generation.mode.is_positive:
        return
    if "Idempotency-Key" in (case.headers or {}):
        case.headers["Idempotency-Key"] = str(uuid4())
    if isinstance(case.body, dict) and str(case.body.get("to")).startswith("("):
        case.body["country"] = "US"
