"""Channels: how a message travels, and what each channel can do.

A new channel is a member of `Channel`, a line in `CHANNELS`, and its sender at the composition root
(`wiring.open_providers`), which also makes its breaker.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from service.core.actions import Action


class Channel(StrEnum):
    """How a message travels."""

    SMS = "sms"
    WHATSAPP = "whatsapp"
    VOICE = "voice"  # we call the person


class Step(NamedTuple):
    """One channel of a list, and how long to wait for news of its message before the next channel follows."""

    channel: Channel
    wait_seconds: int


class Capabilities(NamedTuple):
    """What one channel can do."""

    actions: frozenset[Action]  # whose secret its messages can carry
    can_be_confirmed: bool  # its provider takes a confirmation of a single message, unless the settings say otherwise
    has_our_text: bool = True  # its messages are texts of `core.texts`, or the operator's own
    wait_seconds: int = 30  # in a list that does not say how long, before the next channel follows


class ChannelUnfit(Exception):
    """A message by this channel cannot carry the secret of the verification's action."""

    def __init__(self, channel: Channel, action: Action) -> None:
        super().__init__(f"A message by {channel} cannot carry the action {action}. Choose another channel.")


class ChannelUnavailable(Exception):
    """No sender is set up for a channel. The text is a sentence that names the setting."""


CHANNELS: Mapping[Channel, Capabilities] = {
    Channel.SMS: Capabilities(actions=frozenset(Action), can_be_confirmed=True),
    Channel.WHATSAPP: Capabilities(actions=frozenset({Action.CODE}), can_be_confirmed=True, has_our_text=False),
    Channel.VOICE: Capabilities(
        actions=frozenset({Action.CODE}),
        can_be_confirmed=False,
        has_our_text=False,
        wait_seconds=60,  # a phone rings for 25 s, and then a key must be pressed
    ),
}
DEFAULT_CHANNEL = Channel.SMS
SHORTEST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 10, 300  # before the next channel follows
