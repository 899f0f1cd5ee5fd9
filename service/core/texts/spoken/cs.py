"""Czech, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="cs-CZ",
    ask="Zde je {brand}. Zadejte šest číslic ze zprávy a potom dvě číslice z obrazovky.",
    again="To není správně. Zadejte šest číslic ze zprávy a potom dvě číslice z obrazovky.",
    done="Děkujeme. Potvrzeno. Na shledanou.",
    used="To už je potvrzeno. Na shledanou.",
    failed="To není správně. Na shledanou.",
    ended="Už to nelze potvrdit. Začněte znovu. Na shledanou.",
    nothing_keyed="Nic nebylo zadáno. Na shledanou.",
    press_any_key="Zde je {brand}. Stiskněte libovolnou klávesu a uslyšíte svůj kód.",
    code_is="Váš kód pro {brand} je:",
    once_more="Ještě jednou:",
    code_said="Nikomu ho nesdělujte. Na shledanou.",
)
