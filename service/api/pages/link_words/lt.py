"""Lithuanian, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="lt",
    title="Patvirtinimas",
    question="Ar tai jūs?",
    purpose="Kam",
    started="Pradžia",
    origin="Iš kur",
    just_now="mažiau nei prieš minutę, {time} UTC",
    a_minute_ago="prieš 1 minutę, {time} UTC",
    minutes_ago="prieš {minutes} min., {time} UTC",
    label="Du skaitmenys, kuriuos matote ten, kur pradėjote",
    only_you="Įveskite du skaitmenis tik jei matote juos ten, kur pradėjote. Niekas kitas neturi priežasties jų "
    "prašyti.",
    confirm="Patvirtinti",
    not_me="Tai buvau ne aš",
    malformed="Įveskite du skaitmenis iš puslapio, kuriame pradėjote.",
    wrong_last="Tai ne tie skaitmenys. Jums liko 1 bandymas.",
    wrong="Tai ne tie skaitmenys. Liko bandymų: {left}.",
    not_me_question="Ar tai buvote ne jūs?",
    not_me_text="Jei to neprašėte, nutraukite. Tada niekas negalės tęsti.",
    end_it="Nutraukti: tai buvau ne aš",
    back="Atgal",
    approved=Ending("Patvirtinta", "Galite uždaryti šį puslapį."),
    used=Ending("Jau patvirtinta", "Tai patvirtinta anksčiau. Galite uždaryti šį puslapį."),
    expired=Ending("Ši nuoroda per sena", "Niekas nebuvo patvirtinta. Pradėkite iš naujo ten, iš kur atėjote."),
    superseded=Ending("Yra naujesnė nuoroda", "Niekas nebuvo patvirtinta. Atidarykite naujausios žinutės nuorodą."),
    ended=Ending(
        "Tai nutraukta", "Niekas nebuvo patvirtinta. Jei vis dar norite tęsti, pradėkite iš naujo ten, iš kur atėjote."
    ),
    locked=Ending("Per daug neteisingų bandymų", "Niekas nebuvo patvirtinta. Pradėkite iš naujo ten, iš kur atėjote."),
    unknown=Ending("Ši nuoroda nebeveikia", "Pradėkite iš naujo ten, iš kur atėjote. Niekas nebuvo patvirtinta."),
    declined=Ending("Ačiū", "Nutraukta: niekas negali tęsti. Daugiau nieko daryti nereikia."),
    not_declined=Ending(
        "Dabar to nutraukti negalima",
        "Buvo per daug neteisingų bandymų, todėl kurį laiką niekas negali tęsti. Bandykite vėliau.",
    ),
    declined_late=Ending(
        "Tai patvirtinta anksčiau",
        "Todėl čia to nutraukti nebegalima. Jei tai buvote ne jūs, iškart praneškite paslaugos valdytojams.",
    ),
    go_back="Galite grįžti į {place}.",
    not_now=Ending(
        "Netrukus bandykite dar kartą", "Dabar to padaryti negalima. Šiek tiek palaukite ir bandykite dar kartą."
    ),
    failed="Nepavyko",
    try_again="Bandyti dar kartą",
)
