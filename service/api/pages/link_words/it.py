"""Italian, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="it",
    title="Conferma",
    question="Sei tu?",
    purpose="Per",
    started="Inizio",
    origin="Da",
    just_now="meno di un minuto fa, alle {time} UTC",
    a_minute_ago="1 minuto fa, alle {time} UTC",
    minutes_ago="{minutes} minuti fa, alle {time} UTC",
    label="Le due cifre che vedi dove hai iniziato",
    only_you="Inserisci le due cifre solo se le vedi dove hai iniziato. Nessun altro ha motivo di chiedertelo.",
    confirm="Conferma",
    not_me="Non ero io",
    malformed="Inserisci le due cifre mostrate dalla pagina in cui hai iniziato.",
    wrong_last="Le cifre non sono queste. Ti resta 1 tentativo.",
    wrong="Le cifre non sono queste. Ti restano {left} tentativi.",
    not_me_question="Non eri tu?",
    not_me_text="Se non l’hai chiesto tu, annulla. Così nessuno potrà continuare.",
    end_it="Annulla: non ero io",
    back="Indietro",
    approved=Ending("Confermato", "Puoi chiudere questa pagina."),
    used=Ending("Già confermato", "È stato confermato prima. Puoi chiudere questa pagina."),
    expired=Ending("Questo link è troppo vecchio", "Non è stato confermato nulla. Ricomincia da dove sei partito."),
    superseded=Ending(
        "C’è un link più recente", "Non è stato confermato nulla. Apri il link del messaggio più recente."
    ),
    ended=Ending(
        "È stato annullato",
        "Non è stato confermato nulla. Se vuoi ancora continuare, ricomincia da dove sei partito.",
    ),
    locked=Ending("Troppi tentativi errati", "Non è stato confermato nulla. Ricomincia da dove sei partito."),
    unknown=Ending("Questo link non funziona più", "Ricomincia da dove sei partito. Non è stato confermato nulla."),
    declined=Ending("Grazie", "È stato annullato: nessuno può continuare. Non devi fare altro."),
    not_declined=Ending(
        "Ora non si può annullare",
        "Ci sono stati troppi tentativi errati, quindi per un po’ nessuno può continuare. Riprova più tardi.",
    ),
    declined_late=Ending(
        "È stato confermato prima",
        "Quindi qui non si può più annullare. Se non eri tu, avvisa subito chi gestisce il servizio.",
    ),
    go_back="Puoi tornare a {place}.",
    not_now=Ending("Riprova tra un momento", "Ora non è possibile. Aspetta un po’, poi riprova."),
    failed="Non ha funzionato",
    try_again="Riprova",
)
