"""Spanish, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="Tu clave de {brand} es {code}. No la compartas.",
    password="Tu contraseña de {brand} es {password}. No la compartas.",
    link="{brand}: confirma tu solicitud: {link} No compartas este enlace.",
    reply="{brand}: responde a este mensaje con: {words} y la palabra de tu pantalla.",
    call="{brand}: llama al {number} y marca {digits} y las dos cifras de tu pantalla.",
    payment="Pago de {amount} a {payee}",
)
