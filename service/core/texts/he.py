"""Hebrew, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="{code} הוא קוד {brand} שלך. אין למסור לאיש.",
    password="הסיסמה שלך ב-{brand}:\n{password}\nאין למסור לאיש.",
    link="אימות זהותך ב-{brand}:\n{link}\nאין להעביר לאיש.",
    reply="יש להשיב להודעה זו של {brand} במילים:\n{words}\nובמילה שעל המסך.",
    call="לאימות ב-{brand} יש לחייג:\n{number}\nולהקיש:\n{digits}\nושתי הספרות שעל המסך.",
    payment="תשלום {amount} אל {payee}",
    brief_code="{code} הקוד. אין למסור.",
)
