"""Polish, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="pl-PL",
    voice="Polly.Ewa",
    ask="Tu {brand}. Wpisz sześć cyfr z wiadomości, a potem dwie cyfry z ekranu.",
    again="To nie jest poprawne. Wpisz sześć cyfr z wiadomości, a potem dwie cyfry z ekranu.",
    done="Dziękujemy. Potwierdzono. Do usłyszenia.",
    used="To już zostało potwierdzone. Do usłyszenia.",
    failed="To nie jest poprawne. Do usłyszenia.",
    ended="Tego nie można już potwierdzić. Zacznij od nowa. Do usłyszenia.",
    nothing_keyed="Niczego nie wpisano. Do usłyszenia.",
    press_any_key="Tu {brand}. Naciśnij dowolny klawisz, aby usłyszeć swój kod.",
    code_is="Twój kod {brand} to:",
    once_more="Jeszcze raz:",
    code_said="Nikomu go nie podawaj. Do usłyszenia.",
)
