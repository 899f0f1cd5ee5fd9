"""Twilio refuses because of the operator's credentials or sender: the request costs nothing.

The operator fixes it; until then callers get a 502, and afterwards they have as many messages as before.
"""

import pytest

pytestmark = pytest.mark.usefixtures("no_pause_between_probes")

PATH = "/v1/verifications"
OURS = [
    pytest.param("unauthorized", {}, "credentials_refused", id="401"),
    pytest.param("refuse", {"code": 21212}, "sender_misconfigured", id="21212"),
]
LIMITS = ("number", "ip", "prefix", "country", "day", "key")


async def ask(running, path, body=None):
    """Issue or resend; return (status, code of the problem or None)."""
    status, response, _ = await running.call("POST", path, body)
    return status, response.get("code")


@pytest.mark.parametrize(("kind", "particulars", "code"), OURS)
async def test_an_issue_that_failed_by_an_operator_error_uses_up_no_limit(start, fault, kind, particulars, code):
    """With one message per hour under every limit: after three 502 and the fix one is sent, and then no other."""
    running = await start(**{f"otp_limit_{name}": "1/1h" for name in LIMITS})
    request = {"to": "+14155550123", "client_ip": "198.51.100.7"}
    fault(running, "messages", kind, count=3, **particulars)
    assert [await ask(running, PATH, request) for _ in range(3)] == [(502, code)] * 3
    assert [await ask(running, PATH, request) for _ in range(2)] == [(201, None), (429, "rate_limited")]
    assert len(running.messages()) == 1


@pytest.mark.parametrize(("kind", "particulars", "code"), OURS)
async def test_a_resend_that_failed_by_an_operator_error_uses_up_no_send(start, fault, kind, particulars, code):
    """The last resend, also under every limit, is available after three 502; the current code stays the newest."""
    running = await start(otp_max_sends=2, otp_supersede_codes=True, **{f"otp_limit_{name}": "2/1h" for name in LIMITS})
    issued = await running.issue(client_ip="198.51.100.7")
    path = f"{PATH}/{issued['id']}/resend"
    fault(running, "messages", kind, count=3, **particulars)
    assert [await ask(running, path) for _ in range(3)] == [(502, code)] * 3
    shown = await running.read(issued["id"])
    assert ([send["number"] for send in shown["sends"]], shown["sends_remaining"]) == ([1], 1)
    assert (shown["status"], shown["expires_at"]) == ("pending", issued["expires_at"])
    assert await ask(running, path) == (200, None)
    assert (await ask(running, path))[1] in {"max_sends_reached", "rate_limited"}
    first, second = running.codes()
    assert (await running.verify(issued["id"], first))["verdict"] == "superseded"
    assert (await running.verify(issued["id"], second))["verdict"] == "approved"


@pytest.mark.parametrize("limit", LIMITS)
async def test_a_refusal_of_the_recipient_counts_for_the_caller_not_the_number(start, fault, limit):
    """A refusal because of the number is returned to the number's limit only: probing numbers must not be free."""
    running = await start(**{f"otp_limit_{limit}": "1/1h"})
    request = {"to": "+14155550123", "client_ip": "198.51.100.7"}
    fault(running, "messages", "refuse", code=21610, count=1)
    second = 201 if limit == "number" else 429
    assert [(await ask(running, PATH, request))[0] for _ in range(2)] == [422, second]
