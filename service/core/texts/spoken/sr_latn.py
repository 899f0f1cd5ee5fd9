"""Serbian, in Cyrillic letters, which its voices are made for; unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="sr-RS",
    ask="Овде {brand}. Унесите шест цифара из поруке, а затим две цифре са екрана.",
    again="Није тачно. Унесите шест цифара из поруке, а затим две цифре са екрана.",
    done="Хвала. Потврђено је. Довиђења.",
    used="То је већ потврђено. Довиђења.",
    failed="Није тачно. Довиђења.",
    ended="То се више не може потврдити. Почните поново. Довиђења.",
    nothing_keyed="Ништа није унето. Довиђења.",
    press_any_key="Овде {brand}. Притисните било који тастер да чујете свој код.",
    code_is="Ваш {brand} код је:",
    once_more="Још једном:",
    code_said="Не откривајте га никоме. Довиђења.",
)
