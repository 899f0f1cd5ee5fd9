"""Catalan, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="ca-ES",
    ask="Aquí {brand}. Marca les sis xifres del missatge i després les dues xifres de la teva pantalla.",
    again="No és correcte. Marca les sis xifres del missatge i després les dues xifres de la teva pantalla.",
    done="Gràcies. Està confirmat. Adeu.",
    used="Ja està confirmat. Adeu.",
    failed="No és correcte. Adeu.",
    ended="Ja no es pot confirmar. Torna a començar. Adeu.",
    nothing_keyed="No s'ha marcat res. Adeu.",
    press_any_key="Aquí {brand}. Prem qualsevol tecla per escoltar el teu codi.",
    code_is="El teu codi {brand} és:",
    once_more="Un altre cop:",
    code_said="No el diguis a ningú. Adeu.",
)
