"""Czech, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="cs",
    title="Potvrzení",
    question="Jste to vy?",
    purpose="Účel",
    started="Začátek",
    origin="Odkud",
    just_now="před méně než minutou, v {time} UTC",
    a_minute_ago="před 1 minutou, v {time} UTC",
    minutes_ago="před {minutes} minutami, v {time} UTC",
    label="Dvě číslice, které vidíte tam, kde jste začali",
    only_you="Zadejte dvě číslice, jen pokud je vidíte tam, kde jste začali. Nikdo jiný nemá důvod je po vás chtít.",
    confirm="Potvrdit",
    not_me="Nebyl(a) jsem to já",
    malformed="Zadejte dvě číslice ze stránky, na které jste začali.",
    wrong_last="To nejsou správné číslice. Zbývá vám 1 pokus.",
    wrong="To nejsou správné číslice. Zbývající pokusy: {left}.",
    not_me_question="Nebyli jste to vy?",
    not_me_text="Pokud jste o to nežádali, ukončete to. Pak už v tom nikdo nemůže pokračovat.",
    end_it="Ukončit: nebyl(a) jsem to já",
    back="Zpět",
    approved=Ending("Potvrzeno", "Tuto stránku můžete zavřít."),
    used=Ending("Už je potvrzeno", "Bylo to potvrzeno dříve. Tuto stránku můžete zavřít."),
    expired=Ending("Tento odkaz je příliš starý", "Nic nebylo potvrzeno. Začněte znovu tam, odkud jste přišli."),
    superseded=Ending("Existuje novější odkaz", "Nic nebylo potvrzeno. Otevřete odkaz z nejnovější zprávy."),
    ended=Ending(
        "Bylo to ukončeno", "Nic nebylo potvrzeno. Pokud chcete pokračovat, začněte znovu tam, odkud jste přišli."
    ),
    locked=Ending("Příliš mnoho chybných pokusů", "Nic nebylo potvrzeno. Začněte znovu tam, odkud jste přišli."),
    unknown=Ending("Tento odkaz už nefunguje", "Začněte znovu tam, odkud jste přišli. Nic nebylo potvrzeno."),
    declined=Ending("Děkujeme", "Je to ukončeno: nikdo v tom nemůže pokračovat. Nemusíte dělat nic dalšího."),
    not_declined=Ending(
        "Teď to nelze ukončit",
        "Bylo příliš mnoho chybných pokusů, takže chvíli nikdo nemůže pokračovat. Zkuste to později.",
    ),
    declined_late=Ending(
        "Bylo to potvrzeno dříve",
        "Proto to tady už nelze ukončit. Pokud jste to nebyli vy, ihned to oznamte provozovateli služby.",
    ),
    go_back="Můžete se vrátit na {place}.",
    not_now=Ending("Zkuste to za chvíli znovu", "Teď to nejde. Chvíli počkejte a zkuste to znovu."),
    failed="Nepovedlo se to",
    try_again="Zkusit znovu",
)
