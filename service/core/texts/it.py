"""Italian, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="Il tuo codice {brand} è {code}. Non condividerlo.",
    password="La tua password {brand} è {password}. Non condividerla.",
    link="{brand}: conferma la tua richiesta: {link} Non inoltrarlo.",
    reply="{brand}: rispondi a questo messaggio con: {words} e la parola sul tuo schermo.",
    call="{brand}: chiama {number} e digita {digits} e le due cifre sul tuo schermo.",
    payment="Pagamento di {amount} a {payee}",
)
