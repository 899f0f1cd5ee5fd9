"""Afrikaans, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="af-ZA",
    ask="Dit is {brand}. Tik die ses syfers van die boodskap in, en dan die twee syfers op jou skerm.",
    again="Dit is nie reg nie. Tik die ses syfers van die boodskap in, en dan die twee syfers op jou skerm.",
    done="Dankie. Dit is bevestig. Totsiens.",
    used="Dit is reeds bevestig. Totsiens.",
    failed="Dit is nie reg nie. Totsiens.",
    ended="Dit kan nie meer bevestig word nie. Begin oor. Totsiens.",
    nothing_keyed="Niks is ingetik nie. Totsiens.",
    press_any_key="Dit is {brand}. Druk enige knoppie om jou kode te hoor.",
    code_is="Jou {brand}-kode is:",
    once_more="Nog 'n keer:",
    code_said="Moenie dit met enigiemand deel nie. Totsiens.",
)
