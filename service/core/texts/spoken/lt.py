"""Lithuanian, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="lt-LT",
    ask="Čia {brand}. Surinkite šešis žinutės skaitmenis, tada du skaitmenis iš ekrano.",
    again="Neteisingai. Surinkite šešis žinutės skaitmenis, tada du skaitmenis iš ekrano.",
    done="Ačiū. Patvirtinta. Viso gero.",
    used="Tai jau patvirtinta. Viso gero.",
    failed="Neteisingai. Viso gero.",
    ended="To patvirtinti nebegalima. Pradėkite iš naujo. Viso gero.",
    nothing_keyed="Nieko nebuvo surinkta. Viso gero.",
    press_any_key="Čia {brand}. Paspauskite bet kurį klavišą, kad išgirstumėte kodą.",
    code_is="Jūsų {brand} kodas:",
    once_more="Dar kartą:",
    code_said="Niekam jo neatskleiskite. Viso gero.",
)
