"""Hungarian, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="hu",
    title="Megerősítés",
    question="Ön az?",
    purpose="Cél",
    started="Kezdet",
    origin="Honnan",
    just_now="kevesebb mint egy perce, {time} UTC",
    a_minute_ago="1 perce, {time} UTC",
    minutes_ago="{minutes} perce, {time} UTC",
    label="A két számjegy, amelyet ott lát, ahol elkezdte",
    only_you="Csak akkor írja be a két számjegyet, ha ott látja, ahol elkezdte. Senki másnak nincs oka kérni Öntől.",
    confirm="Jóváhagyás",
    not_me="Nem én voltam",
    malformed="Írja be a két számjegyet arról az oldalról, ahol elkezdte.",
    wrong_last="Ezek nem a megfelelő számjegyek. 1 próbálkozása maradt.",
    wrong="Ezek nem a megfelelő számjegyek. {left} próbálkozása maradt.",
    not_me_question="Nem Ön volt?",
    not_me_text="Ha nem Ön kérte, szakítsa meg. Akkor senki sem tudja folytatni.",
    end_it="Megszakítás: nem én voltam",
    back="Vissza",
    approved=Ending("Jóváhagyva", "Bezárhatja ezt az oldalt."),
    used=Ending("Már jóvá van hagyva", "Ezt korábban jóváhagyták. Bezárhatja ezt az oldalt."),
    expired=Ending("Ez a hivatkozás túl régi", "Semmi sem lett jóváhagyva. Kezdje újra ott, ahonnan jött."),
    superseded=Ending("Van újabb hivatkozás", "Semmi sem lett jóváhagyva. Nyissa meg a legújabb üzenet hivatkozását."),
    ended=Ending(
        "Ez megszakadt", "Semmi sem lett jóváhagyva. Ha mégis folytatni szeretné, kezdje újra ott, ahonnan jött."
    ),
    locked=Ending("Túl sok hibás próbálkozás", "Semmi sem lett jóváhagyva. Kezdje újra ott, ahonnan jött."),
    unknown=Ending("Ez a hivatkozás már nem működik", "Kezdje újra ott, ahonnan jött. Semmi sem lett jóváhagyva."),
    declined=Ending("Köszönjük", "Megszakítva: senki sem tudja folytatni. Nincs más teendője."),
    not_declined=Ending(
        "Most nem lehet megszakítani",
        "Túl sok hibás próbálkozás történt, ezért egy ideig senki sem folytathatja. Próbálja újra később.",
    ),
    declined_late=Ending(
        "Ezt korábban jóváhagyták",
        "Ezért itt már nem lehet megszakítani. Ha nem Ön volt, azonnal szóljon a szolgáltatás üzemeltetőinek.",
    ),
    go_back="Visszatérhet ide: {place}.",
    not_now=Ending("Próbálja újra egy kis idő múlva", "Ez most nem lehetséges. Várjon egy kicsit, majd próbálja újra."),
    failed="Ez nem sikerült",
    try_again="Újra",
)
