"""Slovak, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="sk",
    title="Potvrdenie",
    question="Ste to vy?",
    purpose="Účel",
    started="Začiatok",
    origin="Odkiaľ",
    just_now="pred menej ako minútou, o {time} UTC",
    a_minute_ago="pred 1 minútou, o {time} UTC",
    minutes_ago="pred {minutes} minútami, o {time} UTC",
    label="Dve číslice, ktoré vidíte tam, kde ste začali",
    only_you="Zadajte dve číslice, len ak ich vidíte tam, kde ste začali. Nikto iný nemá dôvod ich od vás žiadať.",
    confirm="Potvrdiť",
    not_me="Nebol(a) som to ja",
    malformed="Zadajte dve číslice zo stránky, na ktorej ste začali.",
    wrong_last="To nie sú správne číslice. Zostáva vám 1 pokus.",
    wrong="To nie sú správne číslice. Zostávajúce pokusy: {left}.",
    not_me_question="Neboli ste to vy?",
    not_me_text="Ak ste o to nežiadali, ukončite to. Potom v tom nikto nebude môcť pokračovať.",
    end_it="Ukončiť: nebol(a) som to ja",
    back="Späť",
    approved=Ending("Potvrdené", "Túto stránku môžete zavrieť."),
    used=Ending("Už je potvrdené", "Bolo to potvrdené skôr. Túto stránku môžete zavrieť."),
    expired=Ending("Tento odkaz je príliš starý", "Nič nebolo potvrdené. Začnite znova tam, odkiaľ ste prišli."),
    superseded=Ending("Existuje novší odkaz", "Nič nebolo potvrdené. Otvorte odkaz z najnovšej správy."),
    ended=Ending(
        "Bolo to ukončené", "Nič nebolo potvrdené. Ak chcete pokračovať, začnite znova tam, odkiaľ ste prišli."
    ),
    locked=Ending("Príliš veľa nesprávnych pokusov", "Nič nebolo potvrdené. Začnite znova tam, odkiaľ ste prišli."),
    unknown=Ending("Tento odkaz už nefunguje", "Začnite znova tam, odkiaľ ste prišli. Nič nebolo potvrdené."),
    declined=Ending("Ďakujeme", "Je to ukončené: nikto v tom nemôže pokračovať. Nemusíte robiť nič ďalšie."),
    not_declined=Ending(
        "Teraz to nemožno ukončiť",
        "Bolo príliš veľa nesprávnych pokusov, preto chvíľu nikto nemôže pokračovať. Skúste to neskôr.",
    ),
    declined_late=Ending(
        "Bolo to potvrdené skôr",
        "Preto to tu už nemožno ukončiť. Ak ste to neboli vy, ihneď to oznámte prevádzkovateľom služby.",
    ),
    go_back="Môžete sa vrátiť na {place}.",
    not_now=Ending("Skúste to o chvíľu znova", "Teraz to nie je možné. Chvíľu počkajte a skúste to znova."),
    failed="Nepodarilo sa to",
    try_again="Skúsiť znova",
)
