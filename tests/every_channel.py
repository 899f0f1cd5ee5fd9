"""A service that offers every channel, over the simulator: for tests of what channels share."""

from functools import partial

_TEMPLATES = {"en": "HX" + "e" * 32, "de": "HX" + "d" * 32}
EVERY_SENDER = {
    "twilio_whatsapp_from": "+15005550006",
    "twilio_whatsapp_templates": ",".join(f"{locale}={sid}" for locale, sid in _TEMPLATES.items()),
    "twilio_voice_from": "+15005550006",
}


def offering_every_channel(start):
    """Return the fixture `start` with the settings of a sender for each channel."""
    return partial(start, sandbox={"templates": _TEMPLATES, "delivery_seconds": 0.02}, **EVERY_SENDER)
