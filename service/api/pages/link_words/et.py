"""Estonian, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="et",
    title="Kinnitus",
    question="Kas see olete teie?",
    purpose="Milleks",
    started="Algus",
    origin="Kust",
    just_now="vähem kui minut tagasi, kell {time} UTC",
    a_minute_ago="1 minut tagasi, kell {time} UTC",
    minutes_ago="{minutes} minutit tagasi, kell {time} UTC",
    label="Kaks numbrit, mida näete seal, kus alustasite",
    only_you="Sisestage kaks numbrit ainult siis, kui näete neid seal, kus alustasite. Kellelgi teisel pole põhjust "
    "neid teilt küsida.",
    confirm="Kinnita",
    not_me="See ei olnud mina",
    malformed="Sisestage kaks numbrit lehelt, kus alustasite.",
    wrong_last="Need ei ole õiged numbrid. Teil on jäänud 1 katse.",
    wrong="Need ei ole õiged numbrid. Teil on jäänud {left} katset.",
    not_me_question="Kas see ei olnud teie?",
    not_me_text="Kui te seda ei palunud, lõpetage see. Siis ei saa keegi sellega jätkata.",
    end_it="Lõpeta: see ei olnud mina",
    back="Tagasi",
    approved=Ending("Kinnitatud", "Võite selle lehe sulgeda."),
    used=Ending("Juba kinnitatud", "See kinnitati varem. Võite selle lehe sulgeda."),
    expired=Ending("See link on liiga vana", "Midagi ei kinnitatud. Alustage uuesti sealt, kust tulite."),
    superseded=Ending("On olemas uuem link", "Midagi ei kinnitatud. Avage link kõige uuemast sõnumist."),
    ended=Ending(
        "See on lõpetatud", "Midagi ei kinnitatud. Kui soovite siiski jätkata, alustage uuesti sealt, kust tulite."
    ),
    locked=Ending("Liiga palju valesid katseid", "Midagi ei kinnitatud. Alustage uuesti sealt, kust tulite."),
    unknown=Ending("See link enam ei tööta", "Alustage uuesti sealt, kust tulite. Midagi ei kinnitatud."),
    declined=Ending("Aitäh", "See on lõpetatud: keegi ei saa sellega jätkata. Te ei pea midagi muud tegema."),
    not_declined=Ending(
        "Seda ei saa praegu lõpetada",
        "Valesid katseid oli liiga palju, seega ei saa keegi mõnda aega jätkata. Proovige hiljem uuesti.",
    ),
    declined_late=Ending(
        "See kinnitati varem",
        "Seetõttu ei saa seda enam siin lõpetada. Kui see ei olnud teie, teatage kohe teenuse haldajatele.",
    ),
    go_back="Võite minna tagasi lehele {place}.",
    not_now=Ending("Proovige hetke pärast uuesti", "Praegu ei ole see võimalik. Oodake veidi ja proovige uuesti."),
    failed="See ei õnnestunud",
    try_again="Proovi uuesti",
)
