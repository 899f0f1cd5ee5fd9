"""What is said to a person who calls, in each language that has sentences for it; in English otherwise."""

from collections.abc import Mapping
from typing import NamedTuple


class Spoken(NamedTuple):
    """The sentences of one language."""

    language: str  # as voices name it
    ask: str  # with {brand}
    again: str
    done: str
    used: str  # it was confirmed before
    failed: str  # another call may succeed
    ended: str
    nothing_keyed: str


_ENGLISH = Spoken(
    "en-US",
    ask="This is {brand}. Key in the six digits of the message, and then the two digits on your screen.",
    again="This is not right. Key in the six digits of the message, and then the two digits on your screen.",
    done="Thank you. You are confirmed. Goodbye.",
    used="This is confirmed already. Goodbye.",
    failed="This is not right. Goodbye.",
    ended="This cannot be confirmed any more. Start again. Goodbye.",
    nothing_keyed="Nothing was keyed in. Goodbye.",
)
_SPOKEN: Mapping[str, Spoken] = {
    "de": Spoken(
        "de-DE",
        ask="Hier ist {brand}. Tippe die sechs Ziffern aus der Nachricht ein, und dann die zwei Ziffern auf deinem "
        "Bildschirm.",
        again="Das stimmt nicht. Tippe die sechs Ziffern aus der Nachricht ein, und dann die zwei Ziffern auf deinem "
        "Bildschirm.",
        done="Danke. Du bist bestätigt. Auf Wiederhören.",
        used="Das ist schon bestätigt. Auf Wiederhören.",
        failed="Das stimmt nicht. Auf Wiederhören.",
        ended="Das kann nicht mehr bestätigt werden. Beginne noch einmal. Auf Wiederhören.",
        nothing_keyed="Es wurde nichts eingetippt. Auf Wiederhören.",
    ),
    "es": Spoken(
        "es-ES",
        ask="Esto es {brand}. Marca las seis cifras del mensaje y después las dos cifras de tu pantalla.",
        again="No es correcto. Marca las seis cifras del mensaje y después las dos cifras de tu pantalla.",
        done="Gracias. Está confirmado. Adiós.",
        used="Ya está confirmado. Adiós.",
        failed="No es correcto. Adiós.",
        ended="Ya no se puede confirmar. Empieza de nuevo. Adiós.",
        nothing_keyed="No se ha marcado nada. Adiós.",
    ),
    "fr": Spoken(
        "fr-FR",
        ask="Ici {brand}. Tapez les six chiffres du message, puis les deux chiffres affichés à l'écran.",
        again="Ce n'est pas exact. Tapez les six chiffres du message, puis les deux chiffres affichés à l'écran.",
        done="Merci. C'est confirmé. Au revoir.",
        used="C'est déjà confirmé. Au revoir.",
        failed="Ce n'est pas exact. Au revoir.",
        ended="Ce n'est plus possible. Recommencez. Au revoir.",
        nothing_keyed="Rien n'a été tapé. Au revoir.",
    ),
    "it": Spoken(
        "it-IT",
        ask="Qui {brand}. Digita le sei cifre del messaggio e poi le due cifre sul tuo schermo.",
        again="Non è corretto. Digita le sei cifre del messaggio e poi le due cifre sul tuo schermo.",
        done="Grazie. È confermato. Arrivederci.",
        used="È già confermato. Arrivederci.",
        failed="Non è corretto. Arrivederci.",
        ended="Non è più possibile confermare. Ricomincia. Arrivederci.",
        nothing_keyed="Non è stato digitato niente. Arrivederci.",
    ),
    "nl": Spoken(
        "nl-NL",
        ask="Dit is {brand}. Toets de zes cijfers uit het bericht in, en dan de twee cijfers op je scherm.",
        again="Dat klopt niet. Toets de zes cijfers uit het bericht in, en dan de twee cijfers op je scherm.",
        done="Dank je. Het is bevestigd. Tot ziens.",
        used="Het is al bevestigd. Tot ziens.",
        failed="Dat klopt niet. Tot ziens.",
        ended="Dit kan niet meer worden bevestigd. Begin opnieuw. Tot ziens.",
        nothing_keyed="Er is niets ingetoetst. Tot ziens.",
    ),
}


def spoken(locale: str) -> Spoken:
    """Return the sentences of a language, or the English ones."""
    return _SPOKEN.get(locale, _ENGLISH)
