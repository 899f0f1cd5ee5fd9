"""Estonian, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="{brand}: kood {code}. Ärge jagage seda kellegagi.",
    password="{brand}: parool {password}. Ärge jagage seda kellegagi.",
    link="{brand}: kinnitage, et see olete teie: {link} Ärge jagage linki kellegagi.",
    reply="{brand}: vastake sellele sõnumile: {words} ja sõna teie ekraanilt.",
    call="{brand}: helistage numbril {number} ja sisestage {digits} ning kaks numbrit ekraanilt.",
    payment="Makse {amount}, saaja {payee}",
)
