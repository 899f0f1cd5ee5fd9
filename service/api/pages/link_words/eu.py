"""Basque, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="eu",
    title="Berrespena",
    question="Zu zara?",
    purpose="Zertarako",
    started="Hasiera",
    origin="Nondik",
    just_now="duela minutu bat baino gutxiago, {time} UTC",
    a_minute_ago="duela minutu 1, {time} UTC",
    minutes_ago="duela {minutes} minutu, {time} UTC",
    label="Hasi zinen lekuan ikusten dituzun bi zifrak",
    only_you="Idatzi bi zifrak hasi zinen lekuan ikusten badituzu soilik. Beste inork ez du arrazoirik zuri eskatzeko.",
    confirm="Berretsi",
    not_me="Ez naiz ni izan",
    malformed="Idatzi hasi zinen orriko bi zifrak.",
    wrong_last="Ez dira zifra horiek. Saiakera 1 geratzen zaizu.",
    wrong="Ez dira zifra horiek. {left} saiakera geratzen zaizkizu.",
    not_me_question="Ez zara zu izan?",
    not_me_text="Zuk eskatu ez baduzu, amaitu. Horrela inork ezingo du aurrera jarraitu.",
    end_it="Amaitu: ez naiz ni izan",
    back="Atzera",
    approved=Ending("Berretsita", "Orri hau itxi dezakezu."),
    used=Ending("Dagoeneko berretsita", "Hau lehenago berretsi zen. Orri hau itxi dezakezu."),
    expired=Ending("Esteka hau zaharregia da", "Ez da ezer berretsi. Hasi berriro etorri zinen lekutik."),
    superseded=Ending("Esteka berriago bat dago", "Ez da ezer berretsi. Ireki mezu berrienaren esteka."),
    ended=Ending(
        "Hau amaitu da", "Ez da ezer berretsi. Oraindik jarraitu nahi baduzu, hasi berriro etorri zinen lekutik."
    ),
    locked=Ending("Saiakera oker gehiegi", "Ez da ezer berretsi. Hasi berriro etorri zinen lekutik."),
    unknown=Ending("Esteka honek ez du jada funtzionatzen", "Hasi berriro etorri zinen lekutik. Ez da ezer berretsi."),
    declined=Ending("Eskerrik asko", "Amaitu da: inork ezin du aurrera jarraitu. Ez duzu beste ezer egin behar."),
    not_declined=Ending(
        "Orain ezin da amaitu",
        "Saiakera oker gehiegi egon dira, eta inork ezin du jarraitu denbora batez. Saiatu berriro geroago.",
    ),
    declined_late=Ending(
        "Lehenago berretsi zen",
        "Horregatik ezin da hemen amaitu. Zu izan ez bazara, esan berehala zerbitzua kudeatzen dutenei.",
    ),
    go_back="Hona itzul zaitezke: {place}.",
    not_now=Ending("Saiatu berriro une bat barru", "Orain ez da posible. Itxaron pixka bat eta saiatu berriro."),
    failed="Ez du funtzionatu",
    try_again="Saiatu berriro",
)
