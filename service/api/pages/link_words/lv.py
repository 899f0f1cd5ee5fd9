"""Latvian, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="lv",
    title="Apstiprinājums",
    question="Vai tas esat jūs?",
    purpose="Kam",
    started="Sākums",
    origin="No kurienes",
    just_now="pirms mazāk nekā minūtes, plkst. {time} UTC",
    a_minute_ago="pirms 1 minūtes, plkst. {time} UTC",
    minutes_ago="pirms {minutes} min., plkst. {time} UTC",
    label="Divi cipari, ko redzat tur, kur sākāt",
    only_you="Ievadiet divus ciparus tikai tad, ja redzat tos tur, kur sākāt. Nevienam citam nav iemesla tos jums "
    "prasīt.",
    confirm="Apstiprināt",
    not_me="Tas nebiju es",
    malformed="Ievadiet divus ciparus no lapas, kurā sākāt.",
    wrong_last="Tie nav īstie cipari. Jums atlicis 1 mēģinājums.",
    wrong="Tie nav īstie cipari. Atlikušie mēģinājumi: {left}.",
    not_me_question="Vai tas nebijāt jūs?",
    not_me_text="Ja jūs to neesat lūdzis, pārtrauciet to. Tad neviens nevarēs turpināt.",
    end_it="Pārtraukt: tas nebiju es",
    back="Atpakaļ",
    approved=Ending("Apstiprināts", "Varat aizvērt šo lapu."),
    used=Ending("Jau apstiprināts", "Tas tika apstiprināts iepriekš. Varat aizvērt šo lapu."),
    expired=Ending("Šī saite ir pārāk veca", "Nekas netika apstiprināts. Sāciet no jauna tur, no kurienes atnācāt."),
    superseded=Ending("Ir jaunāka saite", "Nekas netika apstiprināts. Atveriet jaunākās īsziņas saiti."),
    ended=Ending(
        "Tas ir pārtraukts",
        "Nekas netika apstiprināts. Ja joprojām vēlaties turpināt, sāciet no jauna tur, no kurienes atnācāt.",
    ),
    locked=Ending(
        "Pārāk daudz nepareizu mēģinājumu", "Nekas netika apstiprināts. Sāciet no jauna tur, no kurienes atnācāt."
    ),
    unknown=Ending("Šī saite vairs nedarbojas", "Sāciet no jauna tur, no kurienes atnācāt. Nekas netika apstiprināts."),
    declined=Ending("Paldies", "Tas ir pārtraukts: neviens nevar turpināt. Jums nekas vairs nav jādara."),
    not_declined=Ending(
        "To pašlaik nevar pārtraukt",
        "Bija pārāk daudz nepareizu mēģinājumu, tāpēc kādu laiku neviens nevar turpināt. Mēģiniet vēlāk.",
    ),
    declined_late=Ending(
        "Tas tika apstiprināts iepriekš",
        "Tāpēc šeit to vairs nevar pārtraukt. Ja tas nebijāt jūs, nekavējoties ziņojiet pakalpojuma uzturētājiem.",
    ),
    go_back="Varat atgriezties: {place}.",
    not_now=Ending("Pēc brīža mēģiniet vēlreiz", "Pašlaik tas nav iespējams. Mazliet uzgaidiet un mēģiniet vēlreiz."),
    failed="Tas neizdevās",
    try_again="Mēģināt vēlreiz",
)
