"""Afrikaans, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="Jou {brand}-kode is {code}. Moenie dit deel nie.",
    password="Jou {brand}-wagwoord is {password}. Moenie dit deel nie.",
    link="{brand}: bevestig dat dit jy is: {link} Moenie die skakel deel nie.",
    reply="{brand}: antwoord op hierdie boodskap met: {words} en die woord op jou skerm.",
    call="{brand}: bel {number} en tik {digits} en die twee syfers op jou skerm in.",
    payment="Betaal {amount} aan {payee}",
)
