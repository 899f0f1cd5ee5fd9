"""Indonesian, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="id",
    title="Konfirmasi",
    question="Apakah ini Anda?",
    purpose="Untuk",
    started="Mulai",
    origin="Dari",
    just_now="kurang dari satu menit yang lalu, pukul {time} UTC",
    a_minute_ago="1 menit yang lalu, pukul {time} UTC",
    minutes_ago="{minutes} menit yang lalu, pukul {time} UTC",
    label="Dua angka yang Anda lihat di tempat Anda memulai",
    only_you="Ketik dua angka itu hanya jika Anda melihatnya di tempat Anda memulai. Tidak ada orang lain yang punya "
    "alasan untuk memintanya.",
    confirm="Konfirmasi",
    not_me="Itu bukan saya",
    malformed="Ketik dua angka dari halaman tempat Anda memulai.",
    wrong_last="Bukan angka itu. Anda punya 1 percobaan lagi.",
    wrong="Bukan angka itu. Anda punya {left} percobaan lagi.",
    not_me_question="Apakah itu bukan Anda?",
    not_me_text="Jika Anda tidak meminta ini, akhiri. Dengan begitu tidak ada yang dapat melanjutkannya.",
    end_it="Akhiri: itu bukan saya",
    back="Kembali",
    approved=Ending("Dikonfirmasi", "Anda dapat menutup halaman ini."),
    used=Ending("Sudah dikonfirmasi", "Ini sudah dikonfirmasi sebelumnya. Anda dapat menutup halaman ini."),
    expired=Ending("Tautan ini terlalu lama", "Tidak ada yang dikonfirmasi. Mulai lagi dari tempat asal Anda."),
    superseded=Ending("Ada tautan yang lebih baru", "Tidak ada yang dikonfirmasi. Buka tautan dari pesan terbaru."),
    ended=Ending(
        "Ini telah diakhiri",
        "Tidak ada yang dikonfirmasi. Jika Anda masih ingin melanjutkan, mulai lagi dari tempat asal Anda.",
    ),
    locked=Ending(
        "Terlalu banyak percobaan yang salah", "Tidak ada yang dikonfirmasi. Mulai lagi dari tempat asal Anda."
    ),
    unknown=Ending("Tautan ini tidak berfungsi lagi", "Mulai lagi dari tempat asal Anda. Tidak ada yang dikonfirmasi."),
    declined=Ending(
        "Terima kasih",
        "Ini telah diakhiri: tidak ada yang dapat melanjutkannya. Anda tidak perlu melakukan apa pun lagi.",
    ),
    not_declined=Ending(
        "Ini tidak dapat diakhiri sekarang",
        "Terlalu banyak percobaan yang salah, jadi untuk sementara tidak ada yang dapat melanjutkan. Coba lagi nanti.",
    ),
    declined_late=Ending(
        "Ini sudah dikonfirmasi sebelumnya",
        "Jadi ini tidak dapat diakhiri di sini lagi. Jika itu bukan Anda, segera beri tahu pengelola layanan.",
    ),
    go_back="Anda dapat kembali ke {place}.",
    not_now=Ending("Coba lagi sebentar lagi", "Ini tidak dapat dilakukan sekarang. Tunggu sebentar, lalu coba lagi."),
    failed="Ini tidak berhasil",
    try_again="Coba lagi",
)
