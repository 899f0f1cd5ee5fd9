"""Brazilian Portuguese, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="pt-BR",
    title="Confirmação",
    question="É você?",
    purpose="Para",
    started="Início",
    origin="De",
    just_now="há menos de um minuto, às {time} UTC",
    a_minute_ago="há 1 minuto, às {time} UTC",
    minutes_ago="há {minutes} minutos, às {time} UTC",
    label="Os dois algarismos que você vê onde começou",
    only_you="Digite os dois algarismos somente se você os vê onde começou. Mais ninguém tem motivo para pedi-los a "
    "você.",
    confirm="Confirmar",
    not_me="Não fui eu",
    malformed="Digite os dois algarismos da página onde você começou.",
    wrong_last="Esses não são os algarismos. Resta 1 tentativa.",
    wrong="Esses não são os algarismos. Restam {left} tentativas.",
    not_me_question="Não foi você?",
    not_me_text="Se você não pediu isto, encerre. Assim ninguém poderá continuar.",
    end_it="Encerrar: não fui eu",
    back="Voltar",
    approved=Ending("Confirmado", "Você pode fechar esta página."),
    used=Ending("Já confirmado", "Isto já foi confirmado antes. Você pode fechar esta página."),
    expired=Ending("Este link é antigo demais", "Nada foi confirmado. Comece de novo de onde você veio."),
    superseded=Ending("Há um link mais recente", "Nada foi confirmado. Abra o link da mensagem mais recente."),
    ended=Ending(
        "Isto foi encerrado", "Nada foi confirmado. Se ainda quiser continuar, comece de novo de onde você veio."
    ),
    locked=Ending("Tentativas erradas demais", "Nada foi confirmado. Comece de novo de onde você veio."),
    unknown=Ending("Este link não funciona mais", "Comece de novo de onde você veio. Nada foi confirmado."),
    declined=Ending("Obrigado", "Foi encerrado: ninguém pode continuar. Você não precisa fazer mais nada."),
    not_declined=Ending(
        "Não é possível encerrar agora",
        "Houve tentativas erradas demais, por isso ninguém pode continuar por um tempo. Tente mais tarde.",
    ),
    declined_late=Ending(
        "Isto foi confirmado antes",
        "Por isso não pode mais ser encerrado aqui. Se não foi você, avise imediatamente os responsáveis pelo serviço.",
    ),
    go_back="Você pode voltar para {place}.",
    not_now=Ending("Tente de novo em instantes", "Não é possível agora. Espere um pouco e tente de novo."),
    failed="Não funcionou",
    try_again="Tentar de novo",
)
