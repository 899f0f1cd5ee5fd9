"""A sender for each channel over the simulator, for tests of what channels share: each sends its code as a text."""

from contextlib import asynccontextmanager
from dataclasses import replace

from service import wiring
from service.core.channels import Channel
from service.core.sender import Text
from service.wiring import Providers, open_providers

ISSUE_POLICY = wiring.issue_policy


class TextSender:
    """Sends what another channel carries as a text message, through the sender of text messages."""

    provider = "Twilio"

    def __init__(self, sender):
        self._sender = sender
        self.is_sid = sender.is_sid

    async def send(self, message):
        """Send the code as a text."""
        return await self._sender.send(replace(message, content=Text(f"{message.content.code} by another channel")))


@asynccontextmanager
async def open_every_channel(settings):
    """Open the providers with a sender for each channel."""
    async with open_providers(settings) as providers:
        senders = {channel: TextSender(providers.senders[Channel.SMS]) for channel in Channel}
        yield Providers(senders | {Channel.SMS: providers.senders[Channel.SMS]}, messages=providers.messages)


def offer_every_channel(monkeypatch):
    """Let every service that starts from now on have a sender for each channel."""
    monkeypatch.setattr("service.app.open_providers", open_every_channel)
    monkeypatch.setattr(
        wiring, "issue_policy", lambda settings: replace(ISSUE_POLICY(settings), unavailable_channels={})
    )
