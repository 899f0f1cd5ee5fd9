"""Finnish, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="fi",
    title="Vahvistus",
    question="Oletko se sinä?",
    purpose="Mihin",
    started="Alku",
    origin="Mistä",
    just_now="alle minuutti sitten, klo {time} UTC",
    a_minute_ago="1 minuutti sitten, klo {time} UTC",
    minutes_ago="{minutes} minuuttia sitten, klo {time} UTC",
    label="Kaksi numeroa, jotka näet siellä, missä aloitit",
    only_you="Kirjoita kaksi numeroa vain, jos näet ne siellä, missä aloitit. Kenelläkään muulla ei ole syytä kysyä "
    "niitä sinulta.",
    confirm="Vahvista",
    not_me="Se en ollut minä",
    malformed="Kirjoita kaksi numeroa sivulta, jolla aloitit.",
    wrong_last="Nämä eivät ole oikeat numerot. Sinulla on 1 yritys jäljellä.",
    wrong="Nämä eivät ole oikeat numerot. Sinulla on {left} yritystä jäljellä.",
    not_me_question="Etkö se ollut sinä?",
    not_me_text="Jos et pyytänyt tätä, lopeta se. Silloin kukaan ei voi jatkaa.",
    end_it="Lopeta: se en ollut minä",
    back="Takaisin",
    approved=Ending("Vahvistettu", "Voit sulkea tämän sivun."),
    used=Ending("Jo vahvistettu", "Tämä vahvistettiin aiemmin. Voit sulkea tämän sivun."),
    expired=Ending("Tämä linkki on liian vanha", "Mitään ei vahvistettu. Aloita uudelleen sieltä, mistä tulit."),
    superseded=Ending("On olemassa uudempi linkki", "Mitään ei vahvistettu. Avaa uusimman viestin linkki."),
    ended=Ending(
        "Tämä on lopetettu", "Mitään ei vahvistettu. Jos haluat silti jatkaa, aloita uudelleen sieltä, mistä tulit."
    ),
    locked=Ending("Liian monta väärää yritystä", "Mitään ei vahvistettu. Aloita uudelleen sieltä, mistä tulit."),
    unknown=Ending("Tämä linkki ei enää toimi", "Aloita uudelleen sieltä, mistä tulit. Mitään ei vahvistettu."),
    declined=Ending("Kiitos", "Se on lopetettu: kukaan ei voi jatkaa. Sinun ei tarvitse tehdä muuta."),
    not_declined=Ending(
        "Tätä ei voi lopettaa nyt",
        "Vääriä yrityksiä oli liikaa, joten kukaan ei voi jatkaa vähään aikaan. Yritä myöhemmin uudelleen.",
    ),
    declined_late=Ending(
        "Se vahvistettiin aiemmin",
        "Siksi sitä ei voi enää lopettaa täällä. Jos se et ollut sinä, ilmoita heti palvelun ylläpitäjille.",
    ),
    go_back="Voit palata sivulle {place}.",
    not_now=Ending(
        "Yritä hetken kuluttua uudelleen", "Tämä ei onnistu juuri nyt. Odota hetki ja yritä sitten uudelleen."
    ),
    failed="Tämä ei onnistunut",
    try_again="Yritä uudelleen",
)
