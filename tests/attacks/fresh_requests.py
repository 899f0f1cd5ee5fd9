"""A hook for schemathesis: each request that should be accepted has its own Idempotency-Key.

An Idempotency-Key that is reused with another body is refused by design, and generated keys repeat.
"""

from uuid import uuid4

import schemathesis


@schemathesis.hook
def before_call(_context, case, _options):
    """Give a valid request a new Idempotency-Key; do not change the invalid ones."""
    if case.meta.generation.mode.is_positive and "Idempotency-Key" in (case.headers or {}):
        case.headers["Idempotency-Key"] = str(uuid4())
