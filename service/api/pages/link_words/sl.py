"""Slovenian, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="sl",
    title="Potrditev",
    question="Ste to vi?",
    purpose="Za",
    started="Začetek",
    origin="Od kod",
    just_now="pred manj kot minuto, ob {time} UTC",
    a_minute_ago="pred 1 minuto, ob {time} UTC",
    minutes_ago="pred {minutes} min, ob {time} UTC",
    label="Dve števki, ki ju vidite tam, kjer ste začeli",
    only_you="Vnesite dve števki samo, če ju vidite tam, kjer ste začeli. Nihče drug nima razloga, da bi ju zahteval "
    "od vas.",
    confirm="Potrdi",
    not_me="To nisem bil(a) jaz",
    malformed="Vnesite dve števki s strani, na kateri ste začeli.",
    wrong_last="To nista pravi števki. Imate še 1 poskus.",
    wrong="To nista pravi števki. Preostali poskusi: {left}.",
    not_me_question="To niste bili vi?",
    not_me_text="Če tega niste zahtevali, končajte. Potem nihče ne bo mogel nadaljevati.",
    end_it="Končaj: to nisem bil(a) jaz",
    back="Nazaj",
    approved=Ending("Potrjeno", "To stran lahko zaprete."),
    used=Ending("Že potrjeno", "To je bilo potrjeno že prej. To stran lahko zaprete."),
    expired=Ending("Ta povezava je prestara", "Nič ni bilo potrjeno. Začnite znova tam, od koder ste prišli."),
    superseded=Ending("Obstaja novejša povezava", "Nič ni bilo potrjeno. Odprite povezavo iz najnovejšega sporočila."),
    ended=Ending(
        "To je bilo končano",
        "Nič ni bilo potrjeno. Če želite vseeno nadaljevati, začnite znova tam, od koder ste prišli.",
    ),
    locked=Ending("Preveč napačnih poskusov", "Nič ni bilo potrjeno. Začnite znova tam, od koder ste prišli."),
    unknown=Ending("Ta povezava ne deluje več", "Začnite znova tam, od koder ste prišli. Nič ni bilo potrjeno."),
    declined=Ending("Hvala", "Končano je: nihče ne more nadaljevati. Ni vam treba storiti ničesar več."),
    not_declined=Ending(
        "Tega zdaj ni mogoče končati",
        "Bilo je preveč napačnih poskusov, zato nekaj časa nihče ne more nadaljevati. Poskusite pozneje.",
    ),
    declined_late=Ending(
        "To je bilo potrjeno že prej",
        "Zato tega tukaj ni več mogoče končati. Če to niste bili vi, takoj obvestite upravljavce storitve.",
    ),
    go_back="Lahko se vrnete na {place}.",
    not_now=Ending("Čez trenutek poskusite znova", "Tega zdaj ni mogoče storiti. Malo počakajte in poskusite znova."),
    failed="Ni uspelo",
    try_again="Poskusi znova",
)
