"""Catalan, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="El teu codi {brand} és {code}. No el comparteixis.",
    password="La teva contrasenya {brand} és {password}. No la comparteixis.",
    link="{brand}: confirma que ets tu: {link} No el comparteixis.",
    reply="{brand}: respon a aquest missatge amb: {words} i la paraula de la teva pantalla.",
    call="{brand}: truca al {number} i marca {digits} i les dues xifres de la teva pantalla.",
    payment="Pagament de {amount} a {payee}",
)
