"""Malay, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="ms",
    title="Pengesahan",
    question="Adakah ini anda?",
    purpose="Untuk",
    started="Mula",
    origin="Daripada",
    just_now="kurang daripada seminit yang lalu, pada {time} UTC",
    a_minute_ago="1 minit yang lalu, pada {time} UTC",
    minutes_ago="{minutes} minit yang lalu, pada {time} UTC",
    label="Dua digit yang anda lihat di tempat anda bermula",
    only_you="Taip dua digit itu hanya jika anda melihatnya di tempat anda bermula. Tiada orang lain mempunyai sebab "
    "untuk memintanya.",
    confirm="Sahkan",
    not_me="Itu bukan saya",
    malformed="Taip dua digit daripada halaman tempat anda bermula.",
    wrong_last="Itu bukan digitnya. Anda ada 1 percubaan lagi.",
    wrong="Itu bukan digitnya. Anda ada {left} percubaan lagi.",
    not_me_question="Adakah itu bukan anda?",
    not_me_text="Jika anda tidak meminta ini, tamatkannya. Kemudian tiada sesiapa dapat meneruskannya.",
    end_it="Tamatkan: itu bukan saya",
    back="Kembali",
    approved=Ending("Disahkan", "Anda boleh menutup halaman ini."),
    used=Ending("Sudah disahkan", "Ini telah disahkan sebelum ini. Anda boleh menutup halaman ini."),
    expired=Ending("Pautan ini terlalu lama", "Tiada apa-apa yang disahkan. Mula semula dari tempat asal anda."),
    superseded=Ending(
        "Ada pautan yang lebih baharu", "Tiada apa-apa yang disahkan. Buka pautan dalam mesej terbaharu."
    ),
    ended=Ending(
        "Ini telah ditamatkan",
        "Tiada apa-apa yang disahkan. Jika anda masih mahu meneruskan, mula semula dari tempat asal anda.",
    ),
    locked=Ending(
        "Terlalu banyak percubaan yang salah", "Tiada apa-apa yang disahkan. Mula semula dari tempat asal anda."
    ),
    unknown=Ending(
        "Pautan ini tidak berfungsi lagi", "Mula semula dari tempat asal anda. Tiada apa-apa yang disahkan."
    ),
    declined=Ending(
        "Terima kasih",
        "Ini telah ditamatkan: tiada sesiapa dapat meneruskannya. Anda tidak perlu berbuat apa-apa lagi.",
    ),
    not_declined=Ending(
        "Ini tidak boleh ditamatkan sekarang",
        "Terlalu banyak percubaan yang salah, jadi tiada sesiapa dapat meneruskan buat seketika. Cuba lagi kemudian.",
    ),
    declined_late=Ending(
        "Ini telah disahkan sebelum ini",
        "Oleh itu ia tidak boleh ditamatkan di sini lagi. Jika itu bukan anda, beritahu pengendali perkhidmatan "
        "dengan segera.",
    ),
    go_back="Anda boleh kembali ke {place}.",
    not_now=Ending(
        "Cuba lagi sebentar lagi", "Ini tidak dapat dilakukan sekarang. Tunggu seketika, kemudian cuba lagi."
    ),
    failed="Ini tidak berjaya",
    try_again="Cuba lagi",
)
