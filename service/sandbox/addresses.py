"""Addresses of messages: `whatsapp:+14155550123` is a number on WhatsApp, a bare number is reached by SMS."""

from typing import Literal

Channel = Literal["sms", "whatsapp", "voice"]  # the last of calls only
WHATSAPP = "whatsapp:"


def channel_of(address: str) -> Channel:
    """Return the channel of an address."""
    return "whatsapp" if address.startswith(WHATSAPP) else "sms"


def number_of(address: str) -> str:
    """Return the number of an address, without its channel."""
    return address.removeprefix(WHATSAPP)
