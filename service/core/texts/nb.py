"""Norwegian Bokmål, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="Din {brand}-kode er {code}. Ikke del den med noen.",
    password="Ditt {brand}-passord er {password}. Ikke del det med noen.",
    link="{brand}: bekreft at det er deg: {link} Ikke del lenken med noen.",
    reply="{brand}: svar på denne meldingen med: {words} og ordet på skjermen din.",
    call="{brand}: ring {number} og tast {digits} og de to sifrene på skjermen din.",
    payment="Betal {amount} til {payee}",
)
