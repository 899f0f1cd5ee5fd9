"""The promises of `service.core.channels`: every channel declares its capabilities."""

import pytest

from service.core.channels import CHANNELS, DEFAULT_CHANNEL, Channel


@pytest.mark.parametrize("channel", Channel)
def test_every_channel_carries_an_action(channel: Channel) -> None:
    """Each channel is listed with its capabilities, and carries the secret of at least one action."""
    assert CHANNELS[channel].actions


def test_the_default_channel_can_be_confirmed() -> None:
    """The default channel is one whose messages can be confirmed."""
    assert CHANNELS[DEFAULT_CHANNEL].can_be_confirmed
