"""Filipino, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="fil",
    title="Kumpirmasyon",
    question="Ikaw ba ito?",
    purpose="Para sa",
    started="Simula",
    origin="Mula sa",
    just_now="wala pang isang minuto ang nakalipas, {time} UTC",
    a_minute_ago="1 minuto ang nakalipas, {time} UTC",
    minutes_ago="{minutes} minuto ang nakalipas, {time} UTC",
    label="Ang dalawang digit na nakikita mo kung saan ka nagsimula",
    only_you="Ilagay lang ang dalawang digit kung nakikita mo ang mga ito kung saan ka nagsimula. Walang ibang may "
    "dahilan para hingin ito sa iyo.",
    confirm="Kumpirmahin",
    not_me="Hindi ako iyon",
    malformed="Ilagay ang dalawang digit ng page kung saan ka nagsimula.",
    wrong_last="Hindi ito ang mga digit. May 1 pagsubok ka pa.",
    wrong="Hindi ito ang mga digit. May {left} pagsubok ka pa.",
    not_me_question="Hindi ba ikaw iyon?",
    not_me_text="Kung hindi mo ito hiniling, wakasan ito. Sa gayon walang makapagpapatuloy nito.",
    end_it="Wakasan: hindi ako iyon",
    back="Bumalik",
    approved=Ending("Nakumpirma", "Maaari mo nang isara ang page na ito."),
    used=Ending("Nakumpirma na", "Nakumpirma na ito dati. Maaari mo nang isara ang page na ito."),
    expired=Ending("Masyado nang luma ang link na ito", "Walang nakumpirma. Magsimula ulit kung saan ka nanggaling."),
    superseded=Ending("May mas bagong link", "Walang nakumpirma. Buksan ang link ng pinakabagong mensahe."),
    ended=Ending(
        "Winakasan na ito",
        "Walang nakumpirma. Kung gusto mo pa ring magpatuloy, magsimula ulit kung saan ka nanggaling.",
    ),
    locked=Ending("Masyadong maraming maling pagsubok", "Walang nakumpirma. Magsimula ulit kung saan ka nanggaling."),
    unknown=Ending("Hindi na gumagana ang link na ito", "Magsimula ulit kung saan ka nanggaling. Walang nakumpirma."),
    declined=Ending("Salamat", "Winakasan na ito: walang makapagpapatuloy nito. Wala ka nang kailangang gawin."),
    not_declined=Ending(
        "Hindi ito mawawakasan ngayon",
        "Masyadong maraming maling pagsubok, kaya walang makapagpapatuloy sa ngayon. Subukan ulit mamaya.",
    ),
    declined_late=Ending(
        "Nakumpirma na ito dati",
        "Kaya hindi na ito mawawakasan dito. Kung hindi ikaw iyon, sabihin agad sa mga nagpapatakbo ng serbisyo.",
    ),
    go_back="Maaari kang bumalik sa {place}.",
    not_now=Ending("Subukan ulit maya-maya", "Hindi ito magagawa ngayon. Maghintay sandali at subukan ulit."),
    failed="Hindi ito gumana",
    try_again="Subukan ulit",
)
