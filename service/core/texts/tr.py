"""Turkish, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="{brand} kodunuz: {code}. Kimseye vermeyin.",
    password="{brand} şifreniz: {password}. Kimseyle paylaşmayın.",
    link="{brand} onay linki: {link} Kimseye vermeyin.",
    reply="{brand}: bu mesaja {words} ve ekranınızdaki kelimeyle yanıt verin.",
    call="{brand}: {number} numarasını arayın, {digits} ve ekranınızdaki iki rakamı tuşlayın.",
    payment="Ödeme: {amount}, kime: {payee}",
)
