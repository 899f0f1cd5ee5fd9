"""A hook for schemathesis: what a request needs to be accepted and the document cannot say.

Each has its own Idempotency-Key: one that is reused with another body is refused by design, and generated keys repeat.
A search is for a number that exists: most texts of the form of a number are no number anywhere, and of those that are
drawn for their length none is. A check carries one secret. Messages are texts: the service under test has no other
sender, and a list of channels has each once. An issue names no return address, because the service under
test has none, and a dictionary may have put an `origin_text` in the place of null into one of another action, or half a
payment. A report is of the last 400 days, has one beginning, and knows the time zones by name.
"""

import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import schemathesis

_IS_LIKELY = re.compile(r"\+[0-9]{10,14}")  # as those of the dictionary are


@schemathesis.hook
def before_call(_context, case, _options):
    """Complete a valid request; do not change the invalid ones."""
    if not case.meta.generation.mode.is_positive:
        return
    if "Idempotency-Key" in (case.headers or {}):
        case.headers["Idempotency-Key"] = str(uuid4())
    if case.path.endswith("/reports/conversion"):
        _complete_report(case.query)
    if not isinstance(case.body, dict):
        return
    if case.path.endswith("/search") or not _IS_LIKELY.fullmatch(str(case.body.get("to", "+14155550123"))):
        case.body["to"] = "+14155550123"
    case.body.pop("link_return", None)
    case.body.pop("channel", None)
    case.body.pop("channels", None)
    if case.body.get("action") != "link":
        case.body.pop("origin_text", None)
    if case.path.endswith("/verifications") and not (
        case.body.get("amount") and case.body.get("payee") and case.body.get("action") in (None, "code", "password")
    ):
        case.body.pop("amount", None)
        case.body.pop("payee", None)
    if "code" in case.body:
        case.body.pop("password", None)


def _complete_report(query):
    today = datetime.now(UTC).date()
    sound = {"from": str(today - timedelta(days=2)), "to": str(today + timedelta(days=2)), "tz": "Europe/Berlin"}
    query.update({name: value for name, value in sound.items() if query.get(name)})
    query.pop("since" if query.get("from") else "to", None)
