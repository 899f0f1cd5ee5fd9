"""Dutch, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="nl",
    title="Bevestiging",
    question="Ben jij dit?",
    purpose="Voor",
    started="Begin",
    origin="Vanaf",
    just_now="minder dan een minuut geleden, om {time} UTC",
    a_minute_ago="1 minuut geleden, om {time} UTC",
    minutes_ago="{minutes} minuten geleden, om {time} UTC",
    label="De twee cijfers die je ziet waar je bent begonnen",
    only_you="Typ de twee cijfers alleen als je ze ziet waar je bent begonnen. Niemand anders heeft een reden om je "
    "dit te vragen.",
    confirm="Bevestigen",
    not_me="Ik was het niet",
    malformed="Typ de twee cijfers van de pagina waar je bent begonnen.",
    wrong_last="Dit zijn niet de cijfers. Je hebt nog 1 poging.",
    wrong="Dit zijn niet de cijfers. Je hebt nog {left} pogingen.",
    not_me_question="Was jij het niet?",
    not_me_text="Als je hier niet om hebt gevraagd, beëindig het dan. Dan kan niemand ermee verdergaan.",
    end_it="Beëindigen: ik was het niet",
    back="Terug",
    approved=Ending("Bevestigd", "Je kunt deze pagina sluiten."),
    used=Ending("Al bevestigd", "Dit is eerder bevestigd. Je kunt deze pagina sluiten."),
    expired=Ending("Deze link is te oud", "Er is niets bevestigd. Begin opnieuw waar je vandaan kwam."),
    superseded=Ending("Er is een nieuwere link", "Er is niets bevestigd. Open de link in het nieuwste bericht."),
    ended=Ending(
        "Dit is beëindigd", "Er is niets bevestigd. Wil je toch verdergaan, begin dan opnieuw waar je vandaan kwam."
    ),
    locked=Ending("Te veel foute pogingen", "Er is niets bevestigd. Begin opnieuw waar je vandaan kwam."),
    unknown=Ending("Deze link werkt niet meer", "Begin opnieuw waar je vandaan kwam. Er is niets bevestigd."),
    declined=Ending("Bedankt", "Het is beëindigd: niemand kan ermee verdergaan. Je hoeft verder niets te doen."),
    not_declined=Ending(
        "Dit kan nu niet worden beëindigd",
        "Er waren te veel foute pogingen, dus voorlopig kan niemand verdergaan. Probeer het later opnieuw.",
    ),
    declined_late=Ending(
        "Dit is eerder bevestigd",
        "Daarom kan het hier niet meer worden beëindigd. Was jij het niet, meld het dan meteen bij de beheerder.",
    ),
    go_back="Je kunt terug naar {place}.",
    not_now=Ending("Probeer het zo opnieuw", "Dit lukt nu even niet. Wacht een ogenblik en probeer het dan opnieuw."),
    failed="Dit is niet gelukt",
    try_again="Opnieuw proberen",
)
