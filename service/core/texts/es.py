"""Spanish."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="Tu clave de {brand} es {code}. No la compartas.",
)
