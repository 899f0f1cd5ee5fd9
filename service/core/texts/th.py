"""Thai, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="{brand}: รหัสของคุณคือ {code} ห้ามบอกผู้อื่น",
    password="{brand}: รหัสผ่านคือ {password} ห้ามบอกผู้อื่น",
    link="{brand}: ยืนยันว่าเป็นคุณ: {link} ห้ามส่งต่อ",
    reply="{brand}: ตอบกลับข้อความนี้ด้วย: {words} และคำบนหน้าจอของคุณ",
    call="{brand}: โทร {number} แล้วกด {digits} และตัวเลขสองหลักบนหน้าจอของคุณ",
    payment="จ่าย {amount} ให้ {payee}",
    brief_code="รหัส {code} ห้ามบอกใคร",
)
