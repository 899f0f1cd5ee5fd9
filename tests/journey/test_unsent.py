"""A resend that was never sent, because Twilio was busy or refused it: it costs, extends and supersedes nothing."""

import pytest

PATH = "/v1/verifications"


async def resend(running, verification_id, **options):
    """Request the next send; return (status, body)."""
    status, body, _ = await running.call("POST", f"{PATH}/{verification_id}/resend", **options)
    return status, body


@pytest.mark.parametrize("tries", [1, 4])
async def test_a_busy_twilio_costs_no_sends(start, fault, tries):
    """Resends that were certainly not sent, because Twilio was busy, do not reduce the remaining sends."""
    running = await start(otp_max_sends=2)
    issued = await running.issue()
    fault(running, "messages", "429", count=tries, seconds=30)
    for _ in range(tries):
        assert (await resend(running, issued["id"]))[0] == 503
        shown = await running.read(issued["id"])
        assert [send["number"] for send in shown["sends"]] == [1]
        assert (shown["status"], shown["sends_remaining"]) == ("pending", 1)
        assert shown["expires_at"] == issued["expires_at"]
    status, resent = await resend(running, issued["id"])
    assert (status, resent["sends_remaining"]) == (200, 0)
    assert (await resend(running, issued["id"]))[1]["code"] == "max_sends_reached"
    assert len(running.messages()) == 2


async def test_a_send_that_busy_twilio_refused_does_not_count_for_the_number(start, fault):
    """A resend that Twilio was too busy for may be requested again at once, and then counts."""
    running = await start(otp_limit_number="2/1h")
    issued = await running.issue()
    fault(running, "messages", "429", count=3, seconds=30)
    assert [(await resend(running, issued["id"]))[0] for _ in range(5)] == [503, 503, 503, 200, 429]


async def test_after_a_busy_resend_each_code_confirms_its_own_message(running, fault, settled):
    """A reused send number has another code and another SID: the report is for the right message."""
    issued = await running.issue()
    fault(running, "messages", "429", count=1, seconds=30)
    assert (await resend(running, issued["id"]))[0] == 503
    assert (await resend(running, issued["id"]))[0] == 200
    first, second = running.codes()
    assert (await running.verify(issued["id"], second))["verdict"] == "approved"
    assert await settled(running) == [("unconfirmed", 0), ("confirmed", 1)]
    assert (await running.verify(issued["id"], first))["verdict"] == "used"
    assert await settled(running) == [("confirmed", 1), ("confirmed", 1)]


@pytest.mark.parametrize(("kind", "particulars", "expected"), [("refuse", {"code": 21610}, 422), ("429", {}, 503)])
async def test_an_unsent_resend_extends_no_expiry(running, fault, grow_older, kind, particulars, expected):  # noqa: PLR0917 - fixtures and columns
    """If the only sent code has expired, the verification is `expired`, whatever was tried since."""
    issued = await running.issue(ttl_seconds=60)
    grow_older(issued["id"], 50)
    fault(running, "messages", kind, count=1, **({"seconds": 30} | particulars if kind == "429" else particulars))
    assert (await resend(running, issued["id"]))[0] == expected
    shown = await running.read(issued["id"])
    assert (shown["status"], shown["expires_at"] > issued["expires_at"]) == ("pending", False)
    grow_older(issued["id"], 20)
    assert (await running.verify(issued["id"], running.codes()[0]))["verdict"] == "expired"
    assert (await running.read(issued["id"]))["status"] == "expired"
    assert (await resend(running, issued["id"]))[1]["code"] == "not_pending"
    assert (await running.call("POST", f"{PATH}/{issued['id']}/cancel"))[1]["status"] == "expired"


async def test_a_refused_resend_supersedes_nothing_and_the_next_one_does(start, fault):
    """With OTP_SUPERSEDE_CODES the current code stays the newest after a refused message, until another one is sent."""
    running = await start(otp_supersede_codes=True)
    issued = await running.issue()
    fault(running, "messages", "refuse", code=21610, count=1)
    assert (await resend(running, issued["id"]))[0] == 422
    assert (await resend(running, issued["id"]))[0] == 200
    first, third = running.codes()
    assert (await running.verify(issued["id"], first))["verdict"] == "superseded"
    assert (await running.verify(issued["id"], third))["verdict"] == "approved"


SENT = "{}", " { } "
REFUSED = [
    (b'{"channel": "call"}', "application/json", 422, "invalid_request"),
    (b'{"to": "+14155550188"}', "application/json", 422, "invalid_request"),
    (b"[]", "application/json", 422, "invalid_request"),
    (b"null", "application/json", 422, "invalid_request"),
    (b"{", "application/json", 400, "malformed_body"),
    (b"{}" + b" " * 4095, "application/json", 413, "body_too_large"),
    (b"{}", "text/plain", 415, "unsupported_media_type"),
    (b"a=b", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
]


async def post(running, path, body, media_type):
    """Post raw bytes; return (status, JSON)."""
    headers = {"Authorization": f"Bearer {running.key}", "Content-Type": media_type}
    async with running.http.post(path, data=body, headers=headers) as response:
        return response.status, await response.json(content_type=None)


@pytest.mark.parametrize("step", ["resend", "cancel"])
async def test_a_body_that_would_be_ignored_is_refused(running, step):
    """Resend and cancel have no fields: no body or `{}` is accepted, anything else is refused and does nothing."""
    issued = await running.issue()
    path = f"{PATH}/{issued['id']}/{step}"
    for body, media_type, expected, code in REFUSED:
        status, problem = await post(running, path, body, media_type)
        assert (body[:30], status, problem["code"]) == (body[:30], expected, code)
    assert (await running.read(issued["id"]))["status"] == "pending"
    assert len(running.messages()) == 1
    for body in SENT:
        assert (await post(running, path, body.encode(), "application/json"))[0] == 200
    assert (await running.call("POST", path))[0] == 200
    assert len(running.messages()) == (4 if step == "resend" else 1)
