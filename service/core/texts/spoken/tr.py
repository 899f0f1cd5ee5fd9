"""Turkish, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="tr-TR",
    voice="Polly.Filiz",
    ask="Burası {brand}. Mesajdaki altı rakamı, ardından ekranınızdaki iki rakamı tuşlayın.",
    again="Bu doğru değil. Mesajdaki altı rakamı, ardından ekranınızdaki iki rakamı tuşlayın.",
    done="Teşekkürler. Onaylandı. Hoşça kalın.",
    used="Bu zaten onaylandı. Hoşça kalın.",
    failed="Bu doğru değil. Hoşça kalın.",
    ended="Bu artık onaylanamaz. Yeniden başlayın. Hoşça kalın.",
    nothing_keyed="Hiçbir şey tuşlanmadı. Hoşça kalın.",
    press_any_key="Burası {brand}. Kodunuzu duymak için herhangi bir tuşa basın.",
    code_is="{brand} kodunuz:",
    once_more="Bir kez daha:",
    code_said="Kimseye vermeyin. Hoşça kalın.",
)
