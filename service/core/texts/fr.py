"""French, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="Votre code {brand} est {code}. Ne le communiquez pas.",
    password="Votre mot de passe {brand} est {password}. Ne le communiquez pas.",
    link="{brand} : confirmez que c'est bien vous : {link} Ne le transmettez pas.",
    reply="{brand} : répondez à ce message par : {words} et le mot affiché à l'écran.",
    call="{brand} : appelez le {number} et tapez {digits}, puis les deux chiffres à l'écran.",
    payment="Paiement de {amount} à {payee}",
)
