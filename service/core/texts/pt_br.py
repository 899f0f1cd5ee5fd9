"""Portuguese of Brazil, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="Seu PIN {brand} é {code}. Nunca o compartilhe.",
    password="Sua senha {brand} é {password}. Nunca a compartilhe.",
    link="{brand}: confirme sua identidade: {link} Nunca compartilhe este link.",
    reply="{brand}: responda a esta mensagem com: {words} e a palavra da sua tela.",
    call="{brand}: ligue para {number} e digite {digits} e os dois algarismos da sua tela.",
    payment="Pagamento de {amount} a {payee}",
)
