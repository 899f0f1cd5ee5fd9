"""Turkish, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="tr",
    title="Onay",
    question="Bu siz misiniz?",
    purpose="Amaç",
    started="Başlangıç",
    origin="Kaynak",
    just_now="bir dakikadan kısa süre önce, {time} UTC",
    a_minute_ago="1 dakika önce, {time} UTC",
    minutes_ago="{minutes} dakika önce, {time} UTC",
    label="Başladığınız yerde gördüğünüz iki rakam",
    only_you="İki rakamı yalnızca başladığınız yerde görüyorsanız girin. Başka hiç kimsenin bunları sizden istemesi "
    "için bir neden yoktur.",
    confirm="Onayla",
    not_me="Bu ben değildim",
    malformed="Başladığınız sayfadaki iki rakamı girin.",
    wrong_last="Rakamlar bunlar değil. 1 deneme hakkınız kaldı.",
    wrong="Rakamlar bunlar değil. {left} deneme hakkınız kaldı.",
    not_me_question="Bu siz değil miydiniz?",
    not_me_text="Bunu siz istemediyseniz sonlandırın. O zaman kimse devam edemez.",
    end_it="Sonlandır: bu ben değildim",
    back="Geri",
    approved=Ending("Onaylandı", "Bu sayfayı kapatabilirsiniz."),
    used=Ending("Zaten onaylandı", "Bu daha önce onaylandı. Bu sayfayı kapatabilirsiniz."),
    expired=Ending("Bu bağlantı çok eski", "Hiçbir şey onaylanmadı. Geldiğiniz yerden yeniden başlayın."),
    superseded=Ending("Daha yeni bir bağlantı var", "Hiçbir şey onaylanmadı. En yeni mesajdaki bağlantıyı açın."),
    ended=Ending(
        "Bu sonlandırıldı",
        "Hiçbir şey onaylanmadı. Yine de devam etmek istiyorsanız geldiğiniz yerden yeniden başlayın.",
    ),
    locked=Ending("Çok fazla yanlış deneme", "Hiçbir şey onaylanmadı. Geldiğiniz yerden yeniden başlayın."),
    unknown=Ending("Bu bağlantı artık çalışmıyor", "Geldiğiniz yerden yeniden başlayın. Hiçbir şey onaylanmadı."),
    declined=Ending("Teşekkürler", "Sonlandırıldı: kimse devam edemez. Başka bir şey yapmanız gerekmiyor."),
    not_declined=Ending(
        "Bu şimdi sonlandırılamıyor",
        "Çok fazla yanlış deneme yapıldı, bu yüzden bir süre kimse devam edemez. Daha sonra tekrar deneyin.",
    ),
    declined_late=Ending(
        "Bu daha önce onaylandı",
        "Bu yüzden artık burada sonlandırılamaz. Bu siz değildiyseniz hemen hizmeti yönetenlere bildirin.",
    ),
    go_back="Şuraya dönebilirsiniz: {place}.",
    not_now=Ending("Biraz sonra tekrar deneyin", "Bu şu anda yapılamıyor. Biraz bekleyin, sonra tekrar deneyin."),
    failed="Bu işe yaramadı",
    try_again="Tekrar dene",
)
