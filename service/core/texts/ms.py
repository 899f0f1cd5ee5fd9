"""Malay, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="Kod {brand} anda: {code}. Jangan kongsi dengan sesiapa.",
    password="Kata laluan {brand} anda: {password}. Jangan kongsi dengan sesiapa.",
    link="{brand}: sahkan bahawa ini anda: {link} Jangan kongsi pautan ini.",
    reply="{brand}: balas mesej ini dengan: {words} dan perkataan pada skrin anda.",
    call="{brand}: hubungi {number} dan tekan {digits} serta dua angka pada skrin anda.",
    payment="Bayar {amount} kepada {payee}",
)
