"""Romanian, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="ro",
    title="Confirmare",
    question="Ești tu?",
    purpose="Pentru",
    started="Început",
    origin="De la",
    just_now="acum mai puțin de un minut, la {time} UTC",
    a_minute_ago="acum 1 minut, la {time} UTC",
    minutes_ago="acum {minutes} min, la {time} UTC",
    label="Cele două cifre pe care le vezi acolo unde ai început",
    only_you="Scrie cele două cifre numai dacă le vezi acolo unde ai început. Nimeni altcineva nu are motiv să ți le "
    "ceară.",
    confirm="Confirmă",
    not_me="Nu am fost eu",
    malformed="Scrie cele două cifre de pe pagina unde ai început.",
    wrong_last="Acestea nu sunt cifrele. Mai ai 1 încercare.",
    wrong="Acestea nu sunt cifrele. Încercări rămase: {left}.",
    not_me_question="Nu ai fost tu?",
    not_me_text="Dacă nu ai cerut acest lucru, încheie-l. Atunci nimeni nu va putea continua.",
    end_it="Încheie: nu am fost eu",
    back="Înapoi",
    approved=Ending("Confirmat", "Poți închide această pagină."),
    used=Ending("Deja confirmat", "A fost confirmat mai devreme. Poți închide această pagină."),
    expired=Ending("Acest link este prea vechi", "Nu s-a confirmat nimic. Începe din nou de unde ai venit."),
    superseded=Ending("Există un link mai nou", "Nu s-a confirmat nimic. Deschide linkul din cel mai nou mesaj."),
    ended=Ending(
        "S-a încheiat", "Nu s-a confirmat nimic. Dacă vrei totuși să continui, începe din nou de unde ai venit."
    ),
    locked=Ending("Prea multe încercări greșite", "Nu s-a confirmat nimic. Începe din nou de unde ai venit."),
    unknown=Ending("Acest link nu mai funcționează", "Începe din nou de unde ai venit. Nu s-a confirmat nimic."),
    declined=Ending("Mulțumim", "S-a încheiat: nimeni nu poate continua. Nu trebuie să mai faci nimic."),
    not_declined=Ending(
        "Acum nu se poate încheia",
        "Au fost prea multe încercări greșite, așa că o vreme nimeni nu poate continua. Încearcă mai târziu.",
    ),
    declined_late=Ending(
        "A fost confirmat mai devreme",
        "De aceea nu mai poate fi încheiat aici. Dacă nu ai fost tu, anunță imediat pe cei care administrează "
        "serviciul.",
    ),
    go_back="Te poți întoarce la {place}.",
    not_now=Ending("Încearcă din nou peste o clipă", "Acum nu se poate. Așteaptă puțin, apoi încearcă din nou."),
    failed="Nu a funcționat",
    try_again="Încearcă din nou",
)
