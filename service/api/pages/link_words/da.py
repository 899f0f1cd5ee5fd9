"""Danish, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="da",
    title="Bekræftelse",
    question="Er det dig?",
    purpose="Til",
    started="Start",
    origin="Fra",
    just_now="for mindre end et minut siden, kl. {time} UTC",
    a_minute_ago="for 1 minut siden, kl. {time} UTC",
    minutes_ago="for {minutes} minutter siden, kl. {time} UTC",
    label="De to cifre, som du ser, hvor du startede",
    only_you="Skriv kun de to cifre, hvis du ser dem, hvor du startede. Ingen andre har grund til at bede dig om dem.",
    confirm="Bekræft",
    not_me="Det var ikke mig",
    malformed="Skriv de to cifre fra siden, hvor du startede.",
    wrong_last="Det er ikke cifrene. Du har 1 forsøg tilbage.",
    wrong="Det er ikke cifrene. Du har {left} forsøg tilbage.",
    not_me_question="Var det ikke dig?",
    not_me_text="Hvis du ikke har bedt om dette, så afslut det. Så kan ingen gå videre med det.",
    end_it="Afslut: det var ikke mig",
    back="Tilbage",
    approved=Ending("Bekræftet", "Du kan lukke denne side."),
    used=Ending("Allerede bekræftet", "Det er blevet bekræftet tidligere. Du kan lukke denne side."),
    expired=Ending("Dette link er for gammelt", "Intet blev bekræftet. Start igen, hvor du kom fra."),
    superseded=Ending("Der er et nyere link", "Intet blev bekræftet. Åbn linket i den nyeste besked."),
    ended=Ending(
        "Det er afsluttet", "Intet blev bekræftet. Hvis du stadig vil gå videre, så start igen, hvor du kom fra."
    ),
    locked=Ending("For mange forkerte forsøg", "Intet blev bekræftet. Start igen, hvor du kom fra."),
    unknown=Ending("Dette link virker ikke længere", "Start igen, hvor du kom fra. Intet blev bekræftet."),
    declined=Ending("Tak", "Det er afsluttet: ingen kan gå videre med det. Du behøver ikke gøre mere."),
    not_declined=Ending(
        "Det kan ikke afsluttes nu",
        "Der var for mange forkerte forsøg, så ingen kan gå videre et stykke tid. Prøv igen senere.",
    ),
    declined_late=Ending(
        "Det er blevet bekræftet tidligere",
        "Derfor kan det ikke længere afsluttes her. Hvis det ikke var dig, så sig det straks til dem, der driver "
        "tjenesten.",
    ),
    go_back="Du kan gå tilbage til {place}.",
    not_now=Ending("Prøv igen om lidt", "Det kan ikke lade sig gøre lige nu. Vent lidt, og prøv så igen."),
    failed="Det lykkedes ikke",
    try_again="Prøv igen",
)
