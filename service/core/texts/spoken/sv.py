"""Swedish, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="sv-SE",
    voice="Polly.Astrid",
    ask="Det här är {brand}. Slå de sex siffrorna i meddelandet och sedan de två siffrorna på din skärm.",
    again="Det är inte rätt. Slå de sex siffrorna i meddelandet och sedan de två siffrorna på din skärm.",
    done="Tack. Det är bekräftat. Hej då.",
    used="Det är redan bekräftat. Hej då.",
    failed="Det är inte rätt. Hej då.",
    ended="Det går inte längre att bekräfta. Börja om. Hej då.",
    nothing_keyed="Inget slogs in. Hej då.",
    press_any_key="Det här är {brand}. Tryck på valfri knapp för att höra din kod.",
    code_is="Din kod för {brand} är:",
    once_more="En gång till:",
    code_said="Dela den inte med någon. Hej då.",
)
