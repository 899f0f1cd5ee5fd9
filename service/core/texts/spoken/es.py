"""Spanish, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="es-ES",
    voice="Polly.Lucia",
    ask="Te habla {brand}. Marca las seis cifras del mensaje y después las dos cifras de tu pantalla.",
    again="No es correcto. Marca las seis cifras del mensaje y después las dos cifras de tu pantalla.",
    done="Gracias. Está confirmado. Adiós.",
    used="Ya está confirmado. Adiós.",
    failed="No es correcto. Adiós.",
    ended="Ya no se puede confirmar. Empieza de nuevo. Adiós.",
    nothing_keyed="No se ha marcado nada. Adiós.",
    press_any_key="Te habla {brand}. Pulsa cualquier tecla para oír tu clave.",
    code_is="Tu clave de {brand} es:",
    once_more="De nuevo:",
    code_said="No la compartas con nadie. Adiós.",
)
