"""Croatian, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="hr",
    title="Potvrda",
    question="Jeste li to vi?",
    purpose="Za",
    started="Početak",
    origin="Od",
    just_now="prije manje od minute, u {time} UTC",
    a_minute_ago="prije 1 minute, u {time} UTC",
    minutes_ago="prije {minutes} min, u {time} UTC",
    label="Dvije znamenke koje vidite ondje gdje ste započeli",
    only_you="Upišite dvije znamenke samo ako ih vidite ondje gdje ste započeli. Nitko drugi nema razloga tražiti ih "
    "od vas.",
    confirm="Potvrdi",
    not_me="To nisam bio/la ja",
    malformed="Upišite dvije znamenke sa stranice na kojoj ste započeli.",
    wrong_last="To nisu te znamenke. Preostao vam je 1 pokušaj.",
    wrong="To nisu te znamenke. Preostali pokušaji: {left}.",
    not_me_question="Zar to niste bili vi?",
    not_me_text="Ako to niste zatražili, prekinite. Tada nitko neće moći nastaviti.",
    end_it="Prekini: to nisam bio/la ja",
    back="Natrag",
    approved=Ending("Potvrđeno", "Možete zatvoriti ovu stranicu."),
    used=Ending("Već potvrđeno", "Ovo je ranije potvrđeno. Možete zatvoriti ovu stranicu."),
    expired=Ending("Ova je poveznica prestara", "Ništa nije potvrđeno. Započnite ponovno ondje odakle ste došli."),
    superseded=Ending("Postoji novija poveznica", "Ništa nije potvrđeno. Otvorite poveznicu iz najnovije poruke."),
    ended=Ending(
        "Ovo je prekinuto",
        "Ništa nije potvrđeno. Ako i dalje želite nastaviti, započnite ponovno ondje odakle ste došli.",
    ),
    locked=Ending("Previše pogrešnih pokušaja", "Ništa nije potvrđeno. Započnite ponovno ondje odakle ste došli."),
    unknown=Ending("Ova poveznica više ne radi", "Započnite ponovno ondje odakle ste došli. Ništa nije potvrđeno."),
    declined=Ending("Hvala", "Prekinuto je: nitko ne može nastaviti. Ne morate učiniti ništa drugo."),
    not_declined=Ending(
        "Sada se ne može prekinuti",
        "Bilo je previše pogrešnih pokušaja, pa neko vrijeme nitko ne može nastaviti. Pokušajte kasnije.",
    ),
    declined_late=Ending(
        "Ovo je ranije potvrđeno",
        "Zato se ovdje više ne može prekinuti. Ako to niste bili vi, odmah javite onima koji vode uslugu.",
    ),
    go_back="Možete se vratiti na {place}.",
    not_now=Ending("Pokušajte ponovno za trenutak", "Trenutačno to nije moguće. Pričekajte malo pa pokušajte ponovno."),
    failed="Nije uspjelo",
    try_again="Pokušaj ponovno",
)
