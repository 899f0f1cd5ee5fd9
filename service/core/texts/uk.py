"""Ukrainian, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="{brand}: код {code}. Нікому не повідомляйте.",
    password="{brand}: пароль {password}. Нікому не повідомляйте.",
    link="{brand}: підтвердьте: {link} Не пересилайте.",
    reply="{brand}: дайте відповідь на це повідомлення: {words} і слово з вашого екрана.",
    call="{brand}: зателефонуйте на {number} і наберіть {digits} та дві цифри з екрана.",
    payment="Платіж {amount} для {payee}",
    brief_code="Код {code}. Не діліться.",
)
