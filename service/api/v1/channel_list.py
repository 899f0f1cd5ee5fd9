"""The list of channels of an issue: its schema, and how it is read."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from service.api.v1.fields import Wait
from service.core.actions import Action
from service.core.channels import CHANNELS, DEFAULT_CHANNEL, Channel, ChannelUnfit, Step
from service.http.problems import FieldUnfit

LIST_OF_CHANNELS = (
    "Instead of `channel`: a list of channels, each once. The next one follows when a message is refused, fails or is "
    "not delivered, or when nothing says within its wait that it arrived; nothing follows once the verification has "
    "ended. Each message has a code of its own, and keeps all limits."
)
_DEFAULT_WAITS = ", ".join(f"{CHANNELS[channel].wait_seconds} for `{channel}`" for channel in Channel)


class ChannelStep(BaseModel):
    """One channel of a list."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    channel: Channel
    wait_seconds: Wait | None = Field(
        None,
        description="How long to wait for news of its message before the next channel of the list follows; default "
        f"{_DEFAULT_WAITS}. The wait of the last channel means nothing.",
    )


def read_steps(channel: Channel | None, channels: Sequence[ChannelStep] | None, action: Action) -> list[Step]:
    """Read either field, or none, as a list. Raises `FieldUnfit`."""
    if channels is None:
        field, steps = "channel", [Step(channel or DEFAULT_CHANNEL, 0)]
    else:
        field = "channels"
        steps = [Step(each.channel, each.wait_seconds or CHANNELS[each.channel].wait_seconds) for each in channels]
        if channel is not None:
            raise FieldUnfit(field, "Send channel or channels, not both.")
    if len({step.channel for step in steps}) < len(steps):
        raise FieldUnfit(field, "A list of channels has each of them once.")
    for step in steps:
        if action not in CHANNELS[step.channel].actions:
            raise FieldUnfit(field, str(ChannelUnfit(step.channel, action)))
    return steps
