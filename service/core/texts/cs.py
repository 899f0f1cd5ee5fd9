"""Czech, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="{brand}: kód {code}. Nikomu ho nesdělujte.",
    password="{brand}: heslo {password}. Nikomu ho nesdělujte.",
    link="{brand}: potvrďte: {link} Nikomu nepřeposílejte.",
    reply="{brand}: odpovězte na tuto zprávu: {words} a slovo z obrazovky.",
    call="{brand}: zavolejte na {number} a zadejte {digits} a dvě číslice z obrazovky.",
    payment="Platba {amount} pro {payee}",
    brief_code="Kód {code}. Nesdílejte.",
)
