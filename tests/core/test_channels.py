"""The promises of `service.core.channels`: every channel says what it can do."""

import pytest

from service.core.channels import CHANNELS, DEFAULT_CHANNEL, Channel


@pytest.mark.parametrize("channel", Channel)
def test_every_channel_carries_an_action(channel: Channel) -> None:
    """Each channel is listed with its capabilities, and carries the secret of at least one action."""
    assert CHANNELS[channel].actions


def test_the_default_channel_can_be_confirmed() -> None:
    """A caller who names no channel gets one whose messages are confirmed."""
    assert CHANNELS[DEFAULT_CHANNEL].can_be_confirmed
