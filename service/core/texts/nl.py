"""Dutch, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="Je {brand}-code is {code}. Deel deze niet.",
    password="Je {brand}-wachtwoord is {password}. Deel dit niet.",
    link="{brand}: bevestig dat jij het bent: {link} Deel deze link niet.",
    reply="{brand}: beantwoord dit bericht met: {words} en het woord op je scherm.",
    call="{brand}: bel {number}, toets {digits} in en dan de twee cijfers op je scherm.",
    payment="Betaal {amount} aan {payee}",
)
