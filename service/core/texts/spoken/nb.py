"""Norwegian Bokmål, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="nb-NO",
    voice="Polly.Liv",
    ask="Dette er {brand}. Tast de seks sifrene i meldingen, og deretter de to sifrene på skjermen din.",
    again="Det er ikke riktig. Tast de seks sifrene i meldingen, og deretter de to sifrene på skjermen din.",
    done="Takk. Det er bekreftet. Ha det bra.",
    used="Det er allerede bekreftet. Ha det bra.",
    failed="Det er ikke riktig. Ha det bra.",
    ended="Det kan ikke bekreftes lenger. Begynn på nytt. Ha det bra.",
    nothing_keyed="Ingenting ble tastet. Ha det bra.",
    press_any_key="Dette er {brand}. Trykk på en hvilken som helst tast for å høre koden din.",
    code_is="Din {brand}-kode er:",
    once_more="En gang til:",
    code_said="Ikke del den med noen. Ha det bra.",
)
