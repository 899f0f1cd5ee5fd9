"""A hook for schemathesis: what a request needs to be accepted and the document cannot say.

Each has its own Idempotency-Key: one that is reused with another body is refused by design, and generated keys repeat.
A search is for a number that exists: most texts of the form of a number are no number anywhere.
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
    if case.path.endswith("/search") and isinstance(case.body, dict):
        case.body["to"] = "+14155550123"
