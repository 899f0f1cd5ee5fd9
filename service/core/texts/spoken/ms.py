"""Malay, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="ms-MY",
    ask="Ini {brand}. Tekan enam digit daripada mesej, kemudian dua digit pada skrin anda.",
    again="Ini tidak betul. Tekan enam digit daripada mesej, kemudian dua digit pada skrin anda.",
    done="Terima kasih. Telah disahkan. Selamat tinggal.",
    used="Ini telah disahkan sebelum ini. Selamat tinggal.",
    failed="Ini tidak betul. Selamat tinggal.",
    ended="Ini tidak boleh disahkan lagi. Mulakan semula. Selamat tinggal.",
    nothing_keyed="Tiada apa-apa ditekan. Selamat tinggal.",
    press_any_key="Ini {brand}. Tekan mana-mana kekunci untuk mendengar kod anda.",
    code_is="Kod {brand} anda ialah:",
    once_more="Sekali lagi:",
    code_said="Jangan kongsi dengan sesiapa. Selamat tinggal.",
)
