"""European Portuguese, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="pt-PT",
    title="Confirmação",
    question="É o próprio?",
    purpose="Para",
    started="Início",
    origin="De",
    just_now="há menos de um minuto, às {time} UTC",
    a_minute_ago="há 1 minuto, às {time} UTC",
    minutes_ago="há {minutes} minutos, às {time} UTC",
    label="Os dois algarismos que vê onde começou",
    only_you="Escreva os dois algarismos apenas se os vir onde começou. Mais ninguém tem motivo para lhos pedir.",
    confirm="Confirmar",
    not_me="Não fui eu",
    malformed="Escreva os dois algarismos da página onde começou.",
    wrong_last="Esses não são os algarismos. Resta 1 tentativa.",
    wrong="Esses não são os algarismos. Restam {left} tentativas.",
    not_me_question="Não foi o próprio?",
    not_me_text="Se não pediu isto, termine-o. Assim ninguém poderá continuar.",
    end_it="Terminar: não fui eu",
    back="Voltar",
    approved=Ending("Confirmado", "Pode fechar esta página."),
    used=Ending("Já confirmado", "Isto já foi confirmado antes. Pode fechar esta página."),
    expired=Ending("Este link é demasiado antigo", "Nada foi confirmado. Comece de novo no sítio de onde veio."),
    superseded=Ending("Há um link mais recente", "Nada foi confirmado. Abra o link da mensagem mais recente."),
    ended=Ending(
        "Isto foi terminado", "Nada foi confirmado. Se ainda quiser continuar, comece de novo no sítio de onde veio."
    ),
    locked=Ending("Demasiadas tentativas erradas", "Nada foi confirmado. Comece de novo no sítio de onde veio."),
    unknown=Ending("Este link já não funciona", "Comece de novo no sítio de onde veio. Nada foi confirmado."),
    declined=Ending("Obrigado", "Foi terminado: ninguém pode continuar. Não precisa de fazer mais nada."),
    not_declined=Ending(
        "Não é possível terminar agora",
        "Houve demasiadas tentativas erradas, por isso ninguém pode continuar durante algum tempo. Tente mais tarde.",
    ),
    declined_late=Ending(
        "Isto foi confirmado antes",
        "Por isso já não pode ser terminado aqui. Se não foi o próprio, avise de imediato os responsáveis pelo "
        "serviço.",
    ),
    go_back="Pode voltar a {place}.",
    not_now=Ending("Tente novamente daqui a pouco", "Não é possível neste momento. Espere um pouco e tente novamente."),
    failed="Não funcionou",
    try_again="Tentar novamente",
)
