"""Danish, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="Din {brand}-kode er {code}. Del den ikke med nogen.",
    password="Din {brand}-adgangskode er {password}. Del den ikke med nogen.",
    link="{brand}: bekræft, at det er dig: {link} Del ikke linket med nogen.",
    reply="{brand}: svar på denne besked med: {words} og ordet på din skærm.",
    call="{brand}: ring til {number} og tast {digits} og de to cifre på din skærm.",
    payment="Betal {amount} til {payee}",
)
