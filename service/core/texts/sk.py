"""Slovak, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="{brand}: kód {code}. Nikomu ho nehovorte.",
    password="{brand}: heslo {password}. Nikomu ho nehovorte.",
    link="{brand}: potvrďte: {link} Nikomu nepreposielajte.",
    reply="{brand}: odpovedzte na túto správu: {words} a slovo z obrazovky.",
    call="{brand}: zavolajte na {number} a zadajte {digits} a dve číslice z obrazovky.",
    payment="Platba {amount} pre {payee}",
    brief_code="Kód {code}. Nezdieľajte.",
)
