"""Bulgarian, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="{brand}: код {code}. Не го споделяйте.",
    password="{brand}: парола {password}. Не я споделяйте.",
    link="{brand}: потвърдете: {link} Не го препращайте.",
    reply="{brand}: отговорете на това съобщение с: {words} и думата от екрана.",
    call="{brand}: обадете се на {number} и въведете {digits} и двете цифри от екрана.",
    payment="Плащане {amount} на {payee}",
    brief_code="Код {code}. Не споделяйте",
)
