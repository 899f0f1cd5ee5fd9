"""Swedish, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="Din kod för {brand} är {code}. Dela den inte med någon.",
    password="Ditt lösenord för {brand} är {password}. Dela det inte med någon.",
    link="{brand}: bekräfta att det är du: {link} Dela inte länken med någon.",
    reply="{brand}: svara på det här meddelandet med: {words} och ordet på din skärm.",
    call="{brand}: ring {number} och slå {digits} och de två siffrorna på din skärm.",
    payment="Betala {amount} till {payee}",
)
