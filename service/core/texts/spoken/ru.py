"""Russian, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="ru-RU",
    voice="Polly.Tatyana",
    ask="Это {brand}. Наберите шесть цифр из сообщения, а затем две цифры с экрана.",
    again="Неверно. Наберите шесть цифр из сообщения, а затем две цифры с экрана.",
    done="Спасибо. Подтверждено. До свидания.",
    used="Это уже подтверждено. До свидания.",
    failed="Неверно. До свидания.",
    ended="Это больше нельзя подтвердить. Начните заново. До свидания.",
    nothing_keyed="Ничего не набрано. До свидания.",
    press_any_key="Это {brand}. Нажмите любую клавишу, чтобы услышать код.",
    code_is="Ваш код {brand}:",
    once_more="Ещё раз:",
    code_said="Никому его не сообщайте. До свидания.",
)
