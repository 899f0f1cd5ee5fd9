"""Finnish, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="fi-FI",
    ask="Täällä {brand}. Näppäile viestin kuusi numeroa ja sitten näytölläsi näkyvät kaksi numeroa.",
    again="Se ei ole oikein. Näppäile viestin kuusi numeroa ja sitten näytölläsi näkyvät kaksi numeroa.",
    done="Kiitos. Vahvistettu. Kuulemiin.",
    used="Tämä on jo vahvistettu. Kuulemiin.",
    failed="Se ei ole oikein. Kuulemiin.",
    ended="Tätä ei voi enää vahvistaa. Aloita alusta. Kuulemiin.",
    nothing_keyed="Mitään ei näppäilty. Kuulemiin.",
    press_any_key="Täällä {brand}. Paina mitä tahansa näppäintä kuullaksesi koodisi.",
    code_is="{brand}-koodisi on:",
    once_more="Vielä kerran:",
    code_said="Älä kerro sitä kenellekään. Kuulemiin.",
)
