"""German, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="de",
    title="Bestätigung",
    question="Bist du das?",
    purpose="Zweck",
    started="Beginn",
    origin="Von",
    just_now="vor weniger als einer Minute, um {time} UTC",
    a_minute_ago="vor 1 Minute, um {time} UTC",
    minutes_ago="vor {minutes} Minuten, um {time} UTC",
    label="Die zwei Ziffern, die du dort siehst, wo du begonnen hast",
    only_you="Gib die zwei Ziffern nur ein, wenn du sie dort siehst, wo du begonnen hast. Niemand sonst hat einen "
    "Grund, dich darum zu bitten.",
    confirm="Bestätigen",
    not_me="Das war ich nicht",
    malformed="Gib die zwei Ziffern ein, die die Seite zeigt, auf der du begonnen hast.",
    wrong_last="Das sind nicht die Ziffern. Du hast noch 1 Versuch.",
    wrong="Das sind nicht die Ziffern. Du hast noch {left} Versuche.",
    not_me_question="Warst du das nicht?",
    not_me_text="Wenn du das nicht veranlasst hast, beende es. Dann kann niemand damit weitermachen.",
    end_it="Beenden: Das war ich nicht",
    back="Zurück",
    approved=Ending("Bestätigt", "Du kannst diese Seite schließen."),
    used=Ending("Schon bestätigt", "Das wurde bereits bestätigt. Du kannst diese Seite schließen."),
    expired=Ending("Dieser Link ist zu alt", "Es wurde nichts bestätigt. Beginne dort neu, wo du herkommst."),
    superseded=Ending(
        "Es gibt einen neueren Link", "Es wurde nichts bestätigt. Öffne den Link in der neuesten Nachricht."
    ),
    ended=Ending(
        "Das wurde beendet",
        "Es wurde nichts bestätigt. Wenn du weitermachen willst, beginne dort neu, wo du herkommst.",
    ),
    locked=Ending("Zu viele falsche Versuche", "Es wurde nichts bestätigt. Beginne dort neu, wo du herkommst."),
    unknown=Ending(
        "Dieser Link funktioniert nicht mehr", "Beginne dort neu, wo du herkommst. Es wurde nichts bestätigt."
    ),
    declined=Ending("Danke", "Es ist beendet: Niemand kann damit weitermachen. Du musst nichts weiter tun."),
    not_declined=Ending(
        "Das kann jetzt nicht beendet werden",
        "Es gab zu viele falsche Versuche, deshalb kann eine Weile niemand weitermachen. Versuche es später noch "
        "einmal.",
    ),
    declined_late=Ending(
        "Das wurde vorher bestätigt",
        "Deshalb kann es hier nicht mehr beendet werden. Wenn du das nicht warst, melde es sofort dem Betreiber.",
    ),
    go_back="Du kannst zurück zu {place}.",
    not_now=Ending(
        "Versuche es gleich noch einmal", "Das geht gerade nicht. Warte eine Weile und versuche es noch einmal."
    ),
    failed="Das hat nicht funktioniert",
    try_again="Noch einmal versuchen",
)
