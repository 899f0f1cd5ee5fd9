"""Spanish."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="Tu clave de {brand} es {code}. No la compartas.",
    password="Tu contraseña de {brand} es {password}. No la compartas.",
    link="{brand}: confirma tu solicitud: {link} No compartas este enlace.",
)
