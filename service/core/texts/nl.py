"""Dutch."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="Je {brand}-code is {code}. Deel deze niet.",
)
