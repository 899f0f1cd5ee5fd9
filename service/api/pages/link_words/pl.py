"""Polish, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="pl",
    title="Potwierdzenie",
    question="Czy to ty?",
    purpose="Cel",
    started="Początek",
    origin="Skąd",
    just_now="mniej niż minutę temu, o {time} UTC",
    a_minute_ago="1 minutę temu, o {time} UTC",
    minutes_ago="{minutes} min temu, o {time} UTC",
    label="Dwie cyfry, które widzisz tam, gdzie zaczynasz",
    only_you="Wpisz dwie cyfry tylko wtedy, gdy widzisz je tam, gdzie zaczynasz. Nikt inny nie ma powodu, by o nie "
    "prosić.",
    confirm="Potwierdź",
    not_me="To nie ja",
    malformed="Wpisz dwie cyfry ze strony, na której zaczynasz.",
    wrong_last="To nie te cyfry. Została ci 1 próba.",
    wrong="To nie te cyfry. Pozostałe próby: {left}.",
    not_me_question="To nie ty?",
    not_me_text="Jeśli o to nie prosisz, zakończ to. Wtedy nikt nie będzie mógł kontynuować.",
    end_it="Zakończ: to nie ja",
    back="Wstecz",
    approved=Ending("Potwierdzono", "Możesz zamknąć tę stronę."),
    used=Ending("Już potwierdzono", "Potwierdzono to wcześniej. Możesz zamknąć tę stronę."),
    expired=Ending("Ten link jest za stary", "Niczego nie potwierdzono. Zacznij ponownie tam, skąd przychodzisz."),
    superseded=Ending("Jest nowszy link", "Niczego nie potwierdzono. Otwórz link z najnowszej wiadomości."),
    ended=Ending(
        "To zostało zakończone",
        "Niczego nie potwierdzono. Jeśli nadal chcesz kontynuować, zacznij ponownie tam, skąd przychodzisz.",
    ),
    locked=Ending("Za dużo błędnych prób", "Niczego nie potwierdzono. Zacznij ponownie tam, skąd przychodzisz."),
    unknown=Ending("Ten link już nie działa", "Zacznij ponownie tam, skąd przychodzisz. Niczego nie potwierdzono."),
    declined=Ending("Dziękujemy", "Zakończono: nikt nie może kontynuować. Nie musisz robić nic więcej."),
    not_declined=Ending(
        "Teraz nie można tego zakończyć",
        "Było za dużo błędnych prób, więc przez jakiś czas nikt nie może kontynuować. Spróbuj później.",
    ),
    declined_late=Ending(
        "Potwierdzono to wcześniej",
        "Dlatego nie można już tego tutaj zakończyć. Jeśli to nie ty, od razu zgłoś to osobom prowadzącym usługę.",
    ),
    go_back="Możesz wrócić na {place}.",
    not_now=Ending("Spróbuj ponownie za chwilę", "Teraz nie możemy tego zrobić. Poczekaj chwilę i spróbuj ponownie."),
    failed="Nie udało się",
    try_again="Spróbuj ponownie",
)
