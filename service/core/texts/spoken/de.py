"""German, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="de-DE",
    voice="Polly.Vicki",
    ask="Hier ist {brand}. Tippe die sechs Ziffern aus der Nachricht ein, und dann die zwei Ziffern auf deinem "
    "Bildschirm.",
    again="Das stimmt nicht. Tippe die sechs Ziffern aus der Nachricht ein, und dann die zwei Ziffern auf deinem "
    "Bildschirm.",
    done="Danke. Du bist bestätigt. Auf Wiederhören.",
    used="Das ist schon bestätigt. Auf Wiederhören.",
    failed="Das stimmt nicht. Auf Wiederhören.",
    ended="Das kann nicht mehr bestätigt werden. Beginne noch einmal. Auf Wiederhören.",
    nothing_keyed="Es wurde nichts eingetippt. Auf Wiederhören.",
    press_any_key="Hier ist {brand}. Drücke eine beliebige Taste, um deinen Code zu hören.",
    code_is="Dein {brand}-Code lautet:",
    once_more="Noch einmal:",
    code_said="Gib ihn nicht weiter. Auf Wiederhören.",
)
