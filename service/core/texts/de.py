"""German, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="Dein {brand}-Code lautet {code}. Gib ihn nicht weiter.",
    password="Dein {brand}-Passwort lautet {password}. Gib es nicht weiter.",
    link="{brand}: Bestätige, dass du es bist: {link} Leite dies nicht weiter.",
    reply="{brand}: Antworte auf diese Nachricht mit: {words} und dem Wort auf deinem Bildschirm.",
    call="{brand}: Ruf {number} an und tippe {digits} ein, dann die zwei Ziffern auf deinem Bildschirm.",
    payment="Zahlung von {amount} an {payee}",
)
