"""Hungarian, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="{brand} kód: {code}. Ne adja ki senkinek.",
    password="{brand} jelszó: {password}. Ne adja ki senkinek.",
    link="{brand}: hagyja jóvá: {link} Ne küldje tovább.",
    reply="{brand}: válaszoljon erre az üzenetre: {words} és a képernyőn látható szó.",
    call="{brand}: hívja a {number} számot, majd adja meg: {digits} és a képernyőn látható két számjegy.",
    payment="Utalás {amount} ide: {payee}",
    brief_code="Kód: {code}. Ne adja ki.",
)
