"""Polish, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="{brand}: kod {code}. Nikomu go nie podawaj.",
    password="{brand}: hasło {password}. Nikomu go nie podawaj.",
    link="{brand}: link do potwierdzenia: {link} Nikomu go nie podawaj.",
    reply="{brand}: odpowiedz na ten SMS: {words} oraz słowo z ekranu.",
    call="{brand}: zadzwoń pod {number} i wpisz {digits} oraz dwie cyfry z ekranu.",
    payment="Przelew {amount} dla {payee}",
)
