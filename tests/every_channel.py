"""A service that offers every channel, over the simulator: for tests of what channels share."""

from functools import partial

_NUMBER = "+15005550006"
_TEMPLATES = {"en": "HX" + "e" * 32, "de": "HX" + "d" * 32}


def offering_every_channel(start):
    """Return the fixture `start` with the settings of a sender for each channel."""
    listed = ",".join(f"{locale}={sid}" for locale, sid in _TEMPLATES.items())
    return partial(
        start,
        sandbox={"templates": _TEMPLATES, "delivery_seconds": 0.02},
        twilio_whatsapp_from=_NUMBER,
        twilio_whatsapp_templates=listed,
        twilio_voice_from=_NUMBER,
    )
