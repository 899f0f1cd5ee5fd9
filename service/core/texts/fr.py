"""French."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="Votre code {brand} est {code}. Ne le communiquez pas.",
)
