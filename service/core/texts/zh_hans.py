"""Chinese in simplified characters, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="【{brand}】验证码 {code}，请勿告知他人。",
    password="【{brand}】您的密码是 {password}，请勿告知他人。",
    link="【{brand}】请确认是您本人操作： {link} 请勿转发。",
    reply="【{brand}】请回复本短信：{words} 以及您屏幕上的单词。",
    call="【{brand}】请拨打 {number}，输入 {digits} 和您屏幕上的两位数字。",
    payment="付款 {amount} 给 {payee}",
    brief_code="验证码 {code}，请勿告知他人。",
)
