"""Italian, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="it-IT",
    voice="Polly.Bianca",
    ask="Qui {brand}. Digita le sei cifre del messaggio e poi le due cifre sul tuo schermo.",
    again="Non è corretto. Digita le sei cifre del messaggio e poi le due cifre sul tuo schermo.",
    done="Grazie. È confermato. Arrivederci.",
    used="È già confermato. Arrivederci.",
    failed="Non è corretto. Arrivederci.",
    ended="Non è più possibile confermare. Ricomincia. Arrivederci.",
    nothing_keyed="Non è stato digitato niente. Arrivederci.",
    press_any_key="Qui {brand}. Premi un tasto qualsiasi per ascoltare il tuo codice.",
    code_is="Il tuo codice {brand} è:",
    once_more="Ripeto:",
    code_said="Non dirlo a nessuno. Arrivederci.",
)
