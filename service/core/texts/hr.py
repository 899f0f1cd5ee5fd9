"""Croatian, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="{brand} kod: {code}. Ne otkrivajte ga nikome.",
    password="{brand} lozinka: {password}. Ne otkrivajte je nikome.",
    link="{brand}: potvrdite da ste to vi: {link} Ne dijelite ovu poveznicu.",
    reply="{brand}: odgovorite na ovu poruku: {words} i riječ sa zaslona.",
    call="{brand}: nazovite {number} i unesite {digits} te dvije znamenke sa zaslona.",
    payment="Uplata {amount} za {payee}",
)
