"""Basque, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="eu-ES",
    ask="Hau {brand} da. Markatu mezuko sei zifrak eta gero pantailako bi zifrak.",
    again="Ez da zuzena. Markatu mezuko sei zifrak eta gero pantailako bi zifrak.",
    done="Eskerrik asko. Berretsi da. Agur.",
    used="Dagoeneko berretsita dago. Agur.",
    failed="Ez da zuzena. Agur.",
    ended="Ezin da gehiago berretsi. Hasi berriro. Agur.",
    nothing_keyed="Ez da ezer markatu. Agur.",
    press_any_key="Hau {brand} da. Sakatu edozein tekla zure kodea entzuteko.",
    code_is="Zure {brand} kodea hau da:",
    once_more="Berriro:",
    code_said="Ez esan inori. Agur.",
)
