"""Arabic, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="{code} هو رمز {brand}. لا تشاركه مع أحد.",
    password="كلمة مرور {brand}:\n{password}\nلا تشاركها مع أحد.",
    link="أكد هويتك لدى {brand}:\n{link}\nلا ترسله إلى أحد.",
    reply="أجب على رسالة {brand} هذه بما يلي:\n{words}\nمع الكلمة الظاهرة على شاشتك.",
    call="للتأكيد لدى {brand} اتصل بالرقم:\n{number}\nثم أدخل:\n{digits}\nوالرقمين الظاهرين على شاشتك.",
    payment="دفع {amount} إلى {payee}",
    brief_code="{code} رمزك. لا تشاركه.",
)
