"""Latvian, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="{brand}: kods {code}. Neizpaudiet to nevienam.",
    password="{brand}: parole {password}. Neizpaudiet to nevienam.",
    link="{brand}: atveriet saiti un apstipriniet: {link} Neizpaudiet to nevienam.",
    reply="{brand}: atbildiet uz šo īsziņu ar: {words} un vārdu no ekrāna.",
    call="{brand}: zvaniet {number} un ievadiet {digits} un divus ciparus no ekrāna.",
    payment="Summa {amount}, kam: {payee}",
)
