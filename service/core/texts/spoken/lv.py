"""Latvian, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="lv-LV",
    ask="Šeit {brand}. Ievadiet sešus ciparus no īsziņas un pēc tam divus ciparus no ekrāna.",
    again="Tas nav pareizi. Ievadiet sešus ciparus no īsziņas un pēc tam divus ciparus no ekrāna.",
    done="Paldies. Apstiprināts. Visu labu.",
    used="Tas jau ir apstiprināts. Visu labu.",
    failed="Tas nav pareizi. Visu labu.",
    ended="To vairs nevar apstiprināt. Sāciet no jauna. Visu labu.",
    nothing_keyed="Nekas netika ievadīts. Visu labu.",
    press_any_key="Šeit {brand}. Nospiediet jebkuru taustiņu, lai dzirdētu kodu.",
    code_is="Jūsu {brand} kods ir:",
    once_more="Vēlreiz:",
    code_said="Neizpaudiet to nevienam. Visu labu.",
)
