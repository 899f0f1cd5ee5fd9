"""French, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="fr-FR",
    voice="Polly.Lea",
    ask="Ici {brand}. Tapez les six chiffres du message, puis les deux chiffres affichés à l'écran.",
    again="Ce n'est pas exact. Tapez les six chiffres du message, puis les deux chiffres affichés à l'écran.",
    done="Merci. C'est confirmé. Au revoir.",
    used="C'est déjà confirmé. Au revoir.",
    failed="Ce n'est pas exact. Au revoir.",
    ended="Ce n'est plus possible. Recommencez. Au revoir.",
    nothing_keyed="Rien n'a été tapé. Au revoir.",
    press_any_key="Ici {brand}. Appuyez sur une touche pour entendre votre code.",
    code_is="Votre code {brand} est :",
    once_more="Je répète :",
    code_said="Ne le communiquez à personne. Au revoir.",
)
