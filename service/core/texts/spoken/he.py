"""Hebrew, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="he-IL",
    ask="כאן {brand}. יש להקיש את שש הספרות מההודעה, ואחריהן את שתי הספרות שעל המסך.",
    again="זה לא נכון. יש להקיש את שש הספרות מההודעה, ואחריהן את שתי הספרות שעל המסך.",
    done="תודה. האישור התקבל. להתראות.",
    used="זה כבר אושר. להתראות.",
    failed="זה לא נכון. להתראות.",
    ended="כבר אי אפשר לאשר. יש להתחיל מחדש. להתראות.",
    nothing_keyed="לא הוקש דבר. להתראות.",
    press_any_key="כאן {brand}. יש להקיש על מקש כלשהו כדי לשמוע את הקוד.",
    code_is="קוד {brand} שלך הוא:",
    once_more="שוב:",
    code_said="אין למסור אותו לאיש. להתראות.",
)
