"""Indonesian, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="id-ID",
    ask="Ini {brand}. Tekan enam angka dari pesan, lalu dua angka di layar Anda.",
    again="Ini tidak benar. Tekan enam angka dari pesan, lalu dua angka di layar Anda.",
    done="Terima kasih. Sudah dikonfirmasi. Sampai jumpa.",
    used="Ini sudah dikonfirmasi sebelumnya. Sampai jumpa.",
    failed="Ini tidak benar. Sampai jumpa.",
    ended="Ini tidak dapat dikonfirmasi lagi. Mulailah dari awal. Sampai jumpa.",
    nothing_keyed="Tidak ada yang ditekan. Sampai jumpa.",
    press_any_key="Ini {brand}. Tekan tombol apa saja untuk mendengar kode Anda.",
    code_is="Kode {brand} Anda adalah:",
    once_more="Sekali lagi:",
    code_said="Jangan bagikan ke siapa pun. Sampai jumpa.",
)
