"""Romanian, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="Codul {brand} este {code}. Nu-l da mai departe.",
    password="Parola {brand} este {password}. Nu o da mai departe.",
    link="{brand}: link de confirmare: {link} Nu-l da mai departe.",
    reply="{brand}: răspunde la acest mesaj cu: {words} și cuvântul de pe ecran.",
    call="{brand}: sună la {number} și tastează {digits} și cele două cifre de pe ecran.",
    payment="Plata de {amount} pentru {payee}",
)
