"""The channel of a resend: an API key may name it, for that one message; a client token may not."""

import pytest

from service.core import issue_policy
from service.core.channels import CHANNELS, Channel

KEYED = {"Idempotency-Key": "again"}


async def resend(running, issued, body=None, *, key=None, headers=None):
    """Resend with a body; return (status, body)."""
    path = f"/v1/verifications/{issued['id']}/resend"
    status, body, _ = await running.call("POST", path, body, key=key, headers=headers)
    return status, body


@pytest.mark.parametrize("body", [None, {}, {"channel": None}, {"channel": "sms"}])
async def test_a_back_end_may_name_the_channel_or_leave_it_out(running, body):
    """With a channel, without one and without a body the next code is sent."""
    issued = await running.issue()
    status, resent = await resend(running, issued, body)
    assert (status, [send["channel"] for send in resent["sends"]]) == (200, ["sms", "sms"])
    assert len(running.codes()) == 2


async def test_an_empty_body_may_have_any_type(running):
    """A client that sends no body need not say which type it has; a body of another type is refused."""
    issued = await running.issue()
    path = f"/v1/verifications/{issued['id']}/resend"
    key = {"Authorization": f"Bearer {running.key}", "Content-Type": "text/plain"}
    for data, status in ((b"", 200), (b"channel=sms", 415)):
        async with running.http.post(path, data=data, headers=key) as response:
            assert response.status == status


async def test_a_client_token_may_not_name_the_channel(running):
    """A front end that names a channel gets a 403 that says so, and nothing is sent; null is no name."""
    issued = await running.issue()
    status, problem = await resend(running, issued, {"channel": "sms"}, key=issued["client_token"])
    assert (status, problem["code"]) == (403, "insufficient_scope")
    assert problem["detail"].startswith("A client token may not choose the channel.")
    assert len(running.codes()) == 1
    assert (await resend(running, issued, {"channel": None}, key=issued["client_token"]))[0] == 200


@pytest.mark.parametrize("body", [{"channel": "pigeon"}, {"channel": ""}, {"channel": 1}, {"chanel": "sms"}])
async def test_an_unknown_channel_is_refused(running, body):
    """A channel that does not exist, and an unknown field, are a 422 that names the field; nothing is sent."""
    issued = await running.issue()
    status, problem = await resend(running, issued, body)
    assert (status, problem["code"]) == (422, "invalid_request")
    assert problem["errors"][0]["pointer"] == f"/{next(iter(body))}"
    assert len(running.codes()) == 1


async def test_a_channel_that_cannot_carry_the_code_is_refused(running, monkeypatch):
    """A channel that cannot carry the verification's action is a 422 in words; it costs no send, and frees the key."""
    issued = await running.issue()
    mute = CHANNELS[Channel.SMS]._replace(actions=frozenset())
    with monkeypatch.context() as patch:
        patch.setattr(issue_policy, "CHANNELS", {Channel.SMS: mute})
        status, problem = await resend(running, issued, {"channel": "sms"}, headers=KEYED)
    assert (status, problem["code"]) == (422, "invalid_request")
    assert problem["errors"] == [
        {"pointer": "/channel", "detail": "A message by sms cannot carry the action code. Choose another channel."}
    ]
    assert len(running.codes()) == 1
    assert (await resend(running, issued, {"channel": "sms"}, headers=KEYED))[0] == 200


async def test_a_repeat_must_name_the_same_channel(running):
    """The same Idempotency-Key with the same channel gets the first response; with another one it is refused."""
    issued = await running.issue()
    first, again, null, other = [
        await resend(running, issued, body, headers=KEYED) for body in (None, {}, {"channel": None}, {"channel": "sms"})
    ]
    assert first == again == null
    assert (other[0], other[1]["code"]) == (422, "idempotency_key_reused")
    assert len(running.codes()) == 2


@pytest.mark.parametrize("channel", ["whatsapp", "voice"])
async def test_a_channel_without_a_sender_is_refused(running, channel):
    """Issue and resend by a channel that has no sender are a 422 in words; it costs nothing, and frees the key."""
    issued = await running.issue()
    status, problem, _ = await running.call(
        "POST", "/v1/verifications", {"to": "+14155550177", "channel": channel}, headers=KEYED
    )
    assert (status, problem["code"]) == (422, "channel_unavailable")
    status, problem = await resend(running, issued, {"channel": channel}, headers=KEYED)
    assert (status, problem["code"]) == (422, "channel_unavailable")
    assert len(running.codes()) == 1
    assert (await running.call("POST", "/v1/verifications", {"to": "+14155550177"}, headers=KEYED))[0] == 201
    assert (await resend(running, issued, {"channel": "sms"}, headers=KEYED))[0] == 200
