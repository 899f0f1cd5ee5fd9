"""Russian, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="{brand}: код {code}. Никому не сообщайте.",
    password="{brand}: пароль {password}. Никому не сообщайте.",
    link="{brand}: подтвердите: {link} Не пересылайте.",
    reply="{brand}: ответьте на это сообщение: {words} и слово с вашего экрана.",
    call="{brand}: позвоните на {number} и наберите {digits} и две цифры с экрана.",
    payment="Платёж {amount} для {payee}",
    brief_code="Код {code}. Не сообщайте.",
)
