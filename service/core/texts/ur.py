"""Urdu, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="{code} آپ کا {brand} کوڈ ہے۔ کسی کو نہ دیں۔",
    password="آپ کا {brand} پاس ورڈ:\n{password}\nکسی کو نہ بتائیں۔",
    link="آپ کی {brand} تصدیق:\n{link}\nکسی کو نہ بھیجیں۔",
    reply="اس {brand} پیغام کے جواب میں لکھیں:\n{words}\nاور اپنی اسکرین کا لفظ۔",
    call="تصدیق کے لیے {brand} کو کال کریں:\n{number}\nاور دبائیں:\n{digits}\nپھر اسکرین کے دو ہندسے۔",
    payment="ادائیگی {amount} بنام {payee}",
    brief_code="{code} کوڈ ہے۔ نہ بتائیں",
)
