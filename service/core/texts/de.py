"""German."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="Dein {brand}-Code lautet {code}. Gib ihn nicht weiter.",
)
