"""Channels in Redis: only messages of a channel that supports confirmations are confirmed."""

import pytest

from service.core import channels
from service.core.channels import Capabilities, Channel
from service.core.verification import Feedback, Verdict


@pytest.fixture
def unconfirmed(monkeypatch):
    """Let text messages not support confirmations, as if they were another channel."""
    capabilities = channels.CHANNELS[Channel.SMS]
    monkeypatch.setattr(channels, "CHANNELS", {Channel.SMS: Capabilities(capabilities.actions, can_be_confirmed=False)})


@pytest.mark.usefixtures("unconfirmed")
@pytest.mark.parametrize("code", ["111111", "222222"], ids=["first send", "second send"])
@pytest.mark.parametrize("sid_comes_first", [True, False])
async def test_a_channel_without_confirmations_enqueues_none(stores, code, sid_comes_first):
    """A code of such a channel is approved as usual, without a pending confirmation or one that waits for its SID."""
    verification = await stores.issue("111111")
    await stores.resend(verification, "222222")
    if sid_comes_first:
        await stores.deliver(verification, 1)
        await stores.deliver(verification, 2)
    assert await stores.verdict(verification, code) is Verdict.APPROVED
    await stores.deliver(verification, 1)
    await stores.deliver(verification, 2)
    assert await stores.feedback(verification) == [Feedback.NONE, Feedback.NONE]
    assert await stores.pending() == []
