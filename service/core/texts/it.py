"""Italian."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="Il tuo codice {brand} è {code}. Non condividerlo.",
    password="La tua password {brand} è {password}. Non condividerla.",
    link="{brand}: conferma la tua richiesta: {link} Non inoltrarlo.",
)
