"""Filipino, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="Ang {brand} code mo ay {code}. Huwag itong ibahagi.",
    password="Ang {brand} password mo ay {password}. Huwag itong ibahagi.",
    link="{brand}: kumpirmahing ikaw ito: {link} Huwag ibahagi ang link na ito.",
    reply="{brand}: sagutin ang mensaheng ito ng: {words} at ang salita sa screen mo.",
    call="{brand}: tawagan ang {number} at pindutin ang {digits} at ang dalawang digit sa screen mo.",
    payment="Bayad na {amount} para sa {payee}",
)
