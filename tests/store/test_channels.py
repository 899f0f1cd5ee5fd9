"""Channels in Redis: only messages of channels that are confirmed by the settings are."""

import pytest

from service.core.channels import Channel
from service.core.verification import Delivery, Feedback, Verdict


@pytest.mark.parametrize("code", ["111111", "222222"], ids=["first send", "second send"])
@pytest.mark.parametrize("sid_comes_first", [True, False])
async def test_a_channel_without_confirmations_enqueues_none(stores, code, sid_comes_first):
    """A code of such a channel is approved as usual, without a pending confirmation or one that waits for its SID."""
    verification = await stores.issue("111111", channel=Channel.VOICE)
    await stores.resend(verification, "222222", Channel.WHATSAPP)
    if sid_comes_first:
        await stores.deliver(verification, 1)
        await stores.deliver(verification, 2)
    assert await stores.verdict(verification, code) is Verdict.APPROVED
    await stores.deliver(verification, 1)
    await stores.deliver(verification, 2)
    assert await stores.feedback(verification) == [Feedback.NONE, Feedback.NONE]
    assert [send.channel for send in (await stores.read(verification)).sends] == [Channel.VOICE, Channel.WHATSAPP]
    assert await stores.pending() == []


async def test_the_settings_say_whether_a_channel_is_confirmed(stores):
    """A channel that the settings add is confirmed as text messages are, for the send that carried the code."""
    stores = stores.under(confirmed_channels=frozenset({Channel.SMS, Channel.WHATSAPP}))
    verification = await stores.issue("111111", channel=Channel.WHATSAPP)
    await stores.resend(verification, "222222", Channel.VOICE)
    await stores.deliver(verification, 1)
    await stores.deliver(verification, 2)
    assert await stores.verdict(verification, "111111") is Verdict.APPROVED
    assert await stores.feedback(verification) == [Feedback.PENDING, Feedback.NONE]
    assert len(await stores.pending()) == 1


def counted_by(stores, channel):
    """Return what is counted under a channel: in the statistics, and as states of sends."""
    stats = {name for key in stores.admin.scan_iter("*:stats") for name in stores.admin.hgetall(key)}
    states = {name for key in stores.admin.scan_iter("otp:*:funnel:h*") for name in stores.admin.hgetall(key)}
    of_stats = {words[0] for name in stats if (words := name.decode().split(":"))[2:3] == [channel]}
    return of_stats, {words[-1] for name in states if (words := name.decode().split("|"))[1:2] == [channel]}


async def test_what_becomes_of_a_send_is_counted_under_its_own_channel(stores):
    """Delivery, refusal and approval are counted under the channel of that send, not of the first or the usual one."""
    verification = await stores.issue("111111", channel=Channel.VOICE)
    await stores.resend(verification, "222222", Channel.WHATSAPP)
    await stores.deliver(verification, 2, status=Delivery.DELIVERED)
    third = await stores.resend(verification, "333333", Channel.WHATSAPP)
    await stores.verifications.refuse(third, 3, error_code=None, passing=True)
    assert await stores.verdict(verification, "222222") is Verdict.APPROVED
    assert counted_by(stores, "whatsapp")[0] == {"resent", "accepted", "delivered", "refused", "approved"}
    assert counted_by(stores, "voice")[0] == {"issued"}
    assert counted_by(stores, "sms") == (set(), set())
