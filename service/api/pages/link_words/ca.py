"""Catalan, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="ca",
    title="Confirmació",
    question="Ets tu?",
    purpose="Per a",
    started="Inici",
    origin="Des de",
    just_now="fa menys d’un minut, a les {time} UTC",
    a_minute_ago="fa 1 minut, a les {time} UTC",
    minutes_ago="fa {minutes} minuts, a les {time} UTC",
    label="Les dues xifres que veus on has començat",
    only_you="Escriu les dues xifres només si les veus on has començat. Ningú més no té cap motiu per demanar-te-les.",
    confirm="Confirma",
    not_me="No he estat jo",
    malformed="Escriu les dues xifres que mostra la pàgina on has començat.",
    wrong_last="Aquestes no són les xifres. Et queda 1 intent.",
    wrong="Aquestes no són les xifres. Et queden {left} intents.",
    not_me_question="No has estat tu?",
    not_me_text="Si no ho has demanat, cancel·la-ho. Així ningú no podrà continuar.",
    end_it="Cancel·la: no he estat jo",
    back="Torna",
    approved=Ending("Confirmat", "Pots tancar aquesta pàgina."),
    used=Ending("Ja està confirmat", "Això es va confirmar abans. Pots tancar aquesta pàgina."),
    expired=Ending("Aquest enllaç és massa antic", "No s’ha confirmat res. Torna a començar des d’on venies."),
    superseded=Ending("Hi ha un enllaç més recent", "No s’ha confirmat res. Obre l’enllaç del missatge més recent."),
    ended=Ending(
        "Això s’ha cancel·lat", "No s’ha confirmat res. Si encara vols continuar, torna a començar des d’on venies."
    ),
    locked=Ending("Massa intents incorrectes", "No s’ha confirmat res. Torna a començar des d’on venies."),
    unknown=Ending("Aquest enllaç ja no funciona", "Torna a començar des d’on venies. No s’ha confirmat res."),
    declined=Ending("Gràcies", "S’ha cancel·lat: ningú no pot continuar. No has de fer res més."),
    not_declined=Ending(
        "Ara no es pot cancel·lar",
        "Hi ha hagut massa intents incorrectes, així que ningú no pot continuar durant una estona. Torna-ho a "
        "provar més tard.",
    ),
    declined_late=Ending(
        "S’ha confirmat abans",
        "Per això ja no es pot cancel·lar aquí. Si no has estat tu, avisa de seguida els qui gestionen el servei.",
    ),
    go_back="Pots tornar a {place}.",
    not_now=Ending("Torna-ho a provar d’aquí a un moment", "Ara no és possible. Espera una mica i torna-ho a provar."),
    failed="No ha funcionat",
    try_again="Torna-ho a provar",
)
