"""Brazilian Portuguese, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="pt-BR",
    voice="Polly.Camila",
    ask="Aqui é {brand}. Digite os seis algarismos da mensagem e depois os dois algarismos da sua tela.",
    again="Não está correto. Digite os seis algarismos da mensagem e depois os dois algarismos da sua tela.",
    done="Obrigado. Está confirmado. Até logo.",
    used="Já está confirmado. Até logo.",
    failed="Não está correto. Até logo.",
    ended="Não é mais possível confirmar. Comece de novo. Até logo.",
    nothing_keyed="Nada foi digitado. Até logo.",
    press_any_key="Aqui é {brand}. Pressione qualquer tecla para ouvir o seu código.",
    code_is="Seu código {brand} é:",
    once_more="Mais uma vez:",
    code_said="Nunca o compartilhe. Até logo.",
)
