"""Chinese in traditional characters, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="【{brand}】驗證碼 {code}，請勿告訴他人。",
    password="【{brand}】您的密碼是 {password}，請勿告訴他人。",
    link="【{brand}】請確認是您本人操作： {link} 請勿轉寄。",
    reply="【{brand}】請回覆本簡訊：{words} 以及您螢幕上的單字。",
    call="【{brand}】請撥打 {number}，輸入 {digits} 和您螢幕上的兩位數字。",
    payment="付款 {amount} 給 {payee}",
    brief_code="驗證碼 {code}，請勿告訴他人。",
)
