"""English."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="Your {brand} code is {code}. Do not share it.",
)
