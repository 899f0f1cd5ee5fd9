"""Romanian, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="ro-RO",
    voice="Polly.Carmen",
    ask="Aici {brand}. Tastează cele șase cifre din mesaj, apoi cele două cifre de pe ecran.",
    again="Nu este corect. Tastează cele șase cifre din mesaj, apoi cele două cifre de pe ecran.",
    done="Mulțumim. Este confirmat. La revedere.",
    used="Este deja confirmat. La revedere.",
    failed="Nu este corect. La revedere.",
    ended="Nu mai poate fi confirmat. Începe din nou. La revedere.",
    nothing_keyed="Nu s-a tastat nimic. La revedere.",
    press_any_key="Aici {brand}. Apasă orice tastă pentru a auzi codul.",
    code_is="Codul tău {brand} este:",
    once_more="Încă o dată:",
    code_said="Nu-l spune nimănui. La revedere.",
)
