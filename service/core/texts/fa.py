"""Persian, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="{code} کد {brand} شما است. به کسی ندهید.",
    password="گذرواژه {brand} شما:\n{password}\nآن را به کسی ندهید.",
    link="تأیید هویت در {brand}:\n{link}\nبه کسی نفرستید.",
    reply="در پاسخ به این پیام {brand} بنویسید:\n{words}\nو کلمه روی صفحه نمایش.",
    call="برای تأیید در {brand} تماس بگیرید با:\n{number}\nو وارد کنید:\n{digits}\nو دو رقم روی صفحه.",
    payment="پرداخت {amount} به {payee}",
    brief_code="{code} کد شما. محرمانه",
)
