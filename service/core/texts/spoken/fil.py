"""Filipino, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="fil-PH",
    ask="Ito ang {brand}. Pindutin ang anim na digit ng mensahe, at pagkatapos ang dalawang digit sa screen mo.",
    again="Hindi ito tama. Pindutin ang anim na digit ng mensahe, at pagkatapos ang dalawang digit sa screen mo.",
    done="Salamat. Nakumpirma na. Paalam.",
    used="Nakumpirma na ito dati. Paalam.",
    failed="Hindi ito tama. Paalam.",
    ended="Hindi na ito makukumpirma. Magsimula ulit. Paalam.",
    nothing_keyed="Walang pinindot. Paalam.",
    press_any_key="Ito ang {brand}. Pindutin ang kahit anong key para marinig ang code mo.",
    code_is="Ang {brand} code mo ay:",
    once_more="Muli:",
    code_said="Huwag itong sabihin kaninuman. Paalam.",
)
