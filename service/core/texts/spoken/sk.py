"""Slovak, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="sk-SK",
    ask="Tu je {brand}. Zadajte šesť číslic zo správy a potom dve číslice z obrazovky.",
    again="To nie je správne. Zadajte šesť číslic zo správy a potom dve číslice z obrazovky.",
    done="Ďakujeme. Potvrdené. Dopočutia.",
    used="To už je potvrdené. Dopočutia.",
    failed="To nie je správne. Dopočutia.",
    ended="Už to nemožno potvrdiť. Začnite znova. Dopočutia.",
    nothing_keyed="Nič nebolo zadané. Dopočutia.",
    press_any_key="Tu je {brand}. Stlačte ľubovoľný kláves a budete počuť svoj kód.",
    code_is="Váš kód pre {brand} je:",
    once_more="Ešte raz:",
    code_said="Nikomu ho nehovorte. Dopočutia.",
)
