"""Afrikaans, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="af",
    title="Bevestiging",
    question="Is dit jy?",
    purpose="Vir",
    started="Begin",
    origin="Vanaf",
    just_now="minder as ’n minuut gelede, om {time} UTC",
    a_minute_ago="1 minuut gelede, om {time} UTC",
    minutes_ago="{minutes} minute gelede, om {time} UTC",
    label="Die twee syfers wat jy sien waar jy begin het",
    only_you="Tik die twee syfers slegs as jy hulle sien waar jy begin het. Niemand anders het ’n rede om jou dit te "
    "vra nie.",
    confirm="Bevestig",
    not_me="Dit was nie ek nie",
    malformed="Tik die twee syfers van die bladsy waar jy begin het.",
    wrong_last="Dit is nie die syfers nie. Jy het nog 1 poging oor.",
    wrong="Dit is nie die syfers nie. Jy het nog {left} pogings oor.",
    not_me_question="Was dit nie jy nie?",
    not_me_text="As jy nie hiervoor gevra het nie, beëindig dit. Dan kan niemand daarmee voortgaan nie.",
    end_it="Beëindig: dit was nie ek nie",
    back="Terug",
    approved=Ending("Bevestig", "Jy kan hierdie bladsy toemaak."),
    used=Ending("Reeds bevestig", "Dit is vroeër bevestig. Jy kan hierdie bladsy toemaak."),
    expired=Ending("Hierdie skakel is te oud", "Niks is bevestig nie. Begin weer waar jy vandaan gekom het."),
    superseded=Ending("Daar is ’n nuwer skakel", "Niks is bevestig nie. Maak die skakel van die nuutste boodskap oop."),
    ended=Ending(
        "Dit is beëindig", "Niks is bevestig nie. As jy steeds wil voortgaan, begin weer waar jy vandaan gekom het."
    ),
    locked=Ending("Te veel verkeerde pogings", "Niks is bevestig nie. Begin weer waar jy vandaan gekom het."),
    unknown=Ending("Hierdie skakel werk nie meer nie", "Begin weer waar jy vandaan gekom het. Niks is bevestig nie."),
    declined=Ending("Dankie", "Dit is beëindig: niemand kan daarmee voortgaan nie. Jy hoef niks meer te doen nie."),
    not_declined=Ending(
        "Dit kan nie nou beëindig word nie",
        "Daar was te veel verkeerde pogings, dus kan niemand vir ’n ruk voortgaan nie. Probeer later weer.",
    ),
    declined_late=Ending(
        "Dit is vroeër bevestig",
        "Daarom kan dit nie meer hier beëindig word nie. As dit nie jy was nie, sê dit dadelik vir die diens se "
        "bestuurders.",
    ),
    go_back="Jy kan teruggaan na {place}.",
    not_now=Ending(
        "Probeer oor ’n oomblik weer", "Dit kan nie nou gedoen word nie. Wag ’n rukkie en probeer dan weer."
    ),
    failed="Dit het nie gewerk nie",
    try_again="Probeer weer",
)
