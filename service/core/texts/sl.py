"""Slovenian, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="{brand}: koda {code}. Nikomur je ne razkrivajte.",
    password="{brand}: geslo {password}. Nikomur ga ne razkrivajte.",
    link="{brand}: potrdite, da ste to vi: {link} Povezave ne delite z nikomer.",
    reply="{brand}: na ta SMS odgovorite z besedama: {words} in z besedo na zaslonu.",
    call="{brand}: pokličite {number} in vnesite {digits} ter dve števki z zaslona.",
    payment="Nakazilo {amount} za {payee}",
)
