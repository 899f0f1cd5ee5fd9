"""Finnish, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="{brand}: koodisi on {code}. Älä kerro sitä kenellekään.",
    password="{brand}: salasanasi on {password}. Älä kerro sitä kenellekään.",
    link="{brand}: vahvista, että se olet sinä: {link} Älä jaa linkkiä kenellekään.",
    reply="{brand}: vastaa tähän viestiin: {words} ja näytölläsi näkyvä sana.",
    call="{brand}: soita numeroon {number} ja näppäile {digits} ja näytölläsi näkyvät kaksi numeroa.",
    payment="Maksu {amount}, saaja {payee}",
)
