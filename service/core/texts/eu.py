"""Basque, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="Zure {brand} kodea: {code}. Ez partekatu inorekin.",
    password="Zure {brand} pasahitza: {password}. Ez partekatu inorekin.",
    link="{brand}: berretsi zu zarela: {link} Ez partekatu esteka inorekin.",
    reply="{brand}: erantzun mezu honi: {words} eta pantailako hitza.",
    call="{brand}: deitu {number} zenbakira eta markatu {digits} eta pantailako bi zifrak.",
    payment="Ordainketa: {amount}, hartzailea: {payee}",
)
