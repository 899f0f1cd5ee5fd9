"""Hungarian, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="hu-HU",
    ask="Itt {brand}. Adja meg az üzenet hat számjegyét, majd a képernyőn látható két számjegyet.",
    again="Ez nem helyes. Adja meg az üzenet hat számjegyét, majd a képernyőn látható két számjegyet.",
    done="Köszönjük. Jóváhagyva. Viszonthallásra.",
    used="Ez már jóvá van hagyva. Viszonthallásra.",
    failed="Ez nem helyes. Viszonthallásra.",
    ended="Ezt már nem lehet jóváhagyni. Kezdje újra. Viszonthallásra.",
    nothing_keyed="Nem adott meg semmit. Viszonthallásra.",
    press_any_key="Itt {brand}. Nyomjon meg egy tetszőleges gombot a kód meghallgatásához.",
    code_is="{brand} kódja:",
    once_more="Még egyszer:",
    code_said="Ne adja ki senkinek. Viszonthallásra.",
)
