"""Italian."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="Il tuo codice {brand} è {code}. Non condividerlo.",
)
