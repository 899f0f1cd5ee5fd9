"""Norwegian Bokmål, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="nb",
    title="Bekreftelse",
    question="Er dette deg?",
    purpose="Formål",
    started="Start",
    origin="Fra",
    just_now="for mindre enn ett minutt siden, kl. {time} UTC",
    a_minute_ago="for 1 minutt siden, kl. {time} UTC",
    minutes_ago="for {minutes} minutter siden, kl. {time} UTC",
    label="De to sifrene du ser der du startet",
    only_you="Skriv inn de to sifrene bare hvis du ser dem der du startet. Ingen andre har grunn til å be deg om dem.",
    confirm="Bekreft",
    not_me="Det var ikke meg",
    malformed="Skriv inn de to sifrene fra siden der du startet.",
    wrong_last="Dette er ikke sifrene. Du har 1 forsøk igjen.",
    wrong="Dette er ikke sifrene. Du har {left} forsøk igjen.",
    not_me_question="Var det ikke deg?",
    not_me_text="Hvis du ikke ba om dette, avslutt det. Da kan ingen gå videre med det.",
    end_it="Avslutt: det var ikke meg",
    back="Tilbake",
    approved=Ending("Bekreftet", "Du kan lukke denne siden."),
    used=Ending("Allerede bekreftet", "Dette ble bekreftet tidligere. Du kan lukke denne siden."),
    expired=Ending("Denne lenken er for gammel", "Ingenting ble bekreftet. Start på nytt der du kom fra."),
    superseded=Ending("Det finnes en nyere lenke", "Ingenting ble bekreftet. Åpne lenken i den nyeste meldingen."),
    ended=Ending(
        "Dette er avsluttet", "Ingenting ble bekreftet. Hvis du fortsatt vil gå videre, start på nytt der du kom fra."
    ),
    locked=Ending("For mange feil forsøk", "Ingenting ble bekreftet. Start på nytt der du kom fra."),
    unknown=Ending("Denne lenken virker ikke lenger", "Start på nytt der du kom fra. Ingenting ble bekreftet."),
    declined=Ending("Takk", "Det er avsluttet: ingen kan gå videre med det. Du trenger ikke gjøre noe mer."),
    not_declined=Ending(
        "Dette kan ikke avsluttes nå",
        "Det var for mange feil forsøk, så ingen kan gå videre på en stund. Prøv igjen senere.",
    ),
    declined_late=Ending(
        "Dette ble bekreftet tidligere",
        "Derfor kan det ikke lenger avsluttes her. Hvis det ikke var deg, si straks fra til dem som driver tjenesten.",
    ),
    go_back="Du kan gå tilbake til {place}.",
    not_now=Ending("Prøv igjen om et øyeblikk", "Dette går ikke akkurat nå. Vent litt, og prøv igjen."),
    failed="Dette virket ikke",
    try_again="Prøv igjen",
)
