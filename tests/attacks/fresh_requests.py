"""A hook for schemathesis: each request that should be accepted is a request of its own.

An Idempotency-Key that comes again with another body is refused by design, and a drawn one does come again.
"""

from uuid import uuid4

import schemathesis


@schemathesis.hook
def before_call(_context, case, _options):
    """Give a valid request a fresh Idempotency-Key; leave the invalid ones as they were drawn."""
    if case.meta.generation.mode.is_positive and "Idempotency-Key" in (case.headers or {}):
        case.headers["Idempotency-Key"] = str(uuid4())
