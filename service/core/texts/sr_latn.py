"""Serbian in Latin letters, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="{brand} kod: {code}. Ne otkrivajte ga nikome.",
    password="{brand} lozinka: {password}. Ne otkrivajte je nikome.",
    link="{brand}: potvrdite da ste to vi: {link} Ne delite ovaj link.",
    reply="{brand}: odgovorite na ovu poruku: {words} i reč sa ekrana.",
    call="{brand}: pozovite {number} i unesite {digits} i dve cifre sa ekrana.",
    payment="Uplata {amount} za {payee}",
)
