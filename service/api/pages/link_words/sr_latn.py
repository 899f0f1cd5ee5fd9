"""Serbian, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="sr-Latn",
    title="Potvrda",
    question="Da li ste to vi?",
    purpose="Za",
    started="Početak",
    origin="Odakle",
    just_now="pre manje od minuta, u {time} UTC",
    a_minute_ago="pre 1 minut, u {time} UTC",
    minutes_ago="pre {minutes} min, u {time} UTC",
    label="Dve cifre koje vidite tamo gde ste počeli",
    only_you="Unesite dve cifre samo ako ih vidite tamo gde ste počeli. Niko drugi nema razloga da ih traži od vas.",
    confirm="Potvrdi",
    not_me="To nisam bio/la ja",
    malformed="Unesite dve cifre sa stranice na kojoj ste počeli.",
    wrong_last="To nisu te cifre. Preostao vam je 1 pokušaj.",
    wrong="To nisu te cifre. Preostali pokušaji: {left}.",
    not_me_question="Zar to niste bili vi?",
    not_me_text="Ako to niste tražili, prekinite. Tada niko neće moći da nastavi.",
    end_it="Prekini: to nisam bio/la ja",
    back="Nazad",
    approved=Ending("Potvrđeno", "Možete zatvoriti ovu stranicu."),
    used=Ending("Već potvrđeno", "Ovo je ranije potvrđeno. Možete zatvoriti ovu stranicu."),
    expired=Ending("Ovaj link je prestar", "Ništa nije potvrđeno. Počnite ponovo tamo odakle ste došli."),
    superseded=Ending("Postoji noviji link", "Ništa nije potvrđeno. Otvorite link iz najnovije poruke."),
    ended=Ending(
        "Ovo je prekinuto",
        "Ništa nije potvrđeno. Ako i dalje želite da nastavite, počnite ponovo tamo odakle ste došli.",
    ),
    locked=Ending("Previše pogrešnih pokušaja", "Ništa nije potvrđeno. Počnite ponovo tamo odakle ste došli."),
    unknown=Ending("Ovaj link više ne radi", "Počnite ponovo tamo odakle ste došli. Ništa nije potvrđeno."),
    declined=Ending("Hvala", "Prekinuto je: niko ne može da nastavi. Ne morate ništa drugo da uradite."),
    not_declined=Ending(
        "Sada ne može da se prekine",
        "Bilo je previše pogrešnih pokušaja, pa neko vreme niko ne može da nastavi. Pokušajte kasnije.",
    ),
    declined_late=Ending(
        "Ovo je ranije potvrđeno",
        "Zato ovde više ne može da se prekine. Ako to niste bili vi, odmah javite onima koji vode uslugu.",
    ),
    go_back="Možete se vratiti na {place}.",
    not_now=Ending("Pokušajte ponovo za trenutak", "Trenutno to nije moguće. Sačekajte malo, pa pokušajte ponovo."),
    failed="Nije uspelo",
    try_again="Pokušaj ponovo",
)
