"""Indonesian, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="Kode {brand} Anda: {code}. Jangan bagikan ke siapa pun.",
    password="Kata sandi {brand} Anda: {password}. Jangan bagikan ke siapa pun.",
    link="{brand}: konfirmasi bahwa ini Anda: {link} Jangan bagikan tautan ini.",
    reply="{brand}: balas pesan ini dengan: {words} dan kata di layar Anda.",
    call="{brand}: hubungi {number} dan tekan {digits} serta dua angka di layar Anda.",
    payment="Bayar {amount} ke {payee}",
)
