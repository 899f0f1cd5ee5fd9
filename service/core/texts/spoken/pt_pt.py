"""European Portuguese, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="pt-PT",
    voice="Polly.Ines",
    ask="Daqui fala {brand}. Marque os seis algarismos da mensagem e depois os dois algarismos mostrados no seu "
    "dispositivo.",
    again="Não está correto. Marque os seis algarismos da mensagem e depois os dois algarismos mostrados no seu "
    "dispositivo.",
    done="Obrigado. Está confirmado. Até à próxima.",
    used="Já está confirmado. Até à próxima.",
    failed="Não está correto. Até à próxima.",
    ended="Já não é possível confirmar. Comece de novo. Até à próxima.",
    nothing_keyed="Nada foi marcado. Até à próxima.",
    press_any_key="Daqui fala {brand}. Prima qualquer tecla para ouvir o seu código.",
    code_is="O seu código {brand} é:",
    once_more="Mais uma vez:",
    code_said="Nunca o partilhe. Até à próxima.",
)
