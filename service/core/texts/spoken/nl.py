"""Dutch, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="nl-NL",
    voice="Polly.Lotte",
    ask="Dit is {brand}. Toets de zes cijfers uit het bericht in, en dan de twee cijfers op je scherm.",
    again="Dat klopt niet. Toets de zes cijfers uit het bericht in, en dan de twee cijfers op je scherm.",
    done="Dank je. Het is bevestigd. Tot ziens.",
    used="Het is al bevestigd. Tot ziens.",
    failed="Dat klopt niet. Tot ziens.",
    ended="Dit kan niet meer worden bevestigd. Begin opnieuw. Tot ziens.",
    nothing_keyed="Er is niets ingetoetst. Tot ziens.",
    press_any_key="Dit is {brand}. Druk op een willekeurige toets om je code te horen.",
    code_is="Je {brand}-code is:",
    once_more="Nog een keer:",
    code_said="Deel deze met niemand. Tot ziens.",
)
