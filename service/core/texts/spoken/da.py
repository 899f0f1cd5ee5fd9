"""Danish, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="da-DK",
    voice="Polly.Naja",
    ask="Det er {brand}. Tast de seks cifre fra beskeden og derefter de to cifre på din skærm.",
    again="Det er ikke rigtigt. Tast de seks cifre fra beskeden og derefter de to cifre på din skærm.",
    done="Tak. Det er bekræftet. Farvel.",
    used="Det er allerede bekræftet. Farvel.",
    failed="Det er ikke rigtigt. Farvel.",
    ended="Det kan ikke bekræftes længere. Start forfra. Farvel.",
    nothing_keyed="Der blev ikke tastet noget. Farvel.",
    press_any_key="Det er {brand}. Tryk på en vilkårlig tast for at høre din kode.",
    code_is="Din {brand}-kode er:",
    once_more="En gang til:",
    code_said="Del den ikke med nogen. Farvel.",
)
