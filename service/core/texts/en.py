"""English, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="Your {brand} code is {code}. Do not share it.",
    password="Your {brand} password is {password}. Do not share it.",
    link="{brand}: confirm that it is you: {link} Do not forward it.",
    reply="{brand}: reply to this message with: {words} and the word on your screen.",
    call="{brand}: call {number} and key in {digits} and the two digits on your screen.",
    payment="Pay {amount} to {payee}",
)
