"""Lithuanian, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="{brand}: kodas {code}. Niekam jo neatskleiskite.",
    password="{brand}: slaptažodis {password}. Niekam jo neatskleiskite.",
    link="{brand}: atidarykite ir patvirtinkite: {link} Niekam nerodykite.",
    reply="{brand}: atsakykite į šią žinutę: {words} ir žodis iš ekrano.",
    call="{brand}: skambinkite {number} ir surinkite {digits} bei du skaitmenis iš ekrano.",
    payment="Pervedama {amount}, kam: {payee}",
)
