"""Portuguese of Portugal, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="O seu PIN {brand} é {code}. Nunca o partilhe.",
    password="A sua palavra-passe {brand} é {password}. Nunca a partilhe.",
    link="{brand}: confirme a sua identidade: {link} Nunca partilhe este link.",
    reply="{brand}: responda a esta mensagem com: {words} e a palavra mostrada no seu dispositivo.",
    call="{brand}: ligue para {number} e marque {digits} e os dois algarismos mostrados no seu dispositivo.",
    payment="Pagamento de {amount} a {payee}",
)
