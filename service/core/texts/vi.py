"""Vietnamese, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="{brand}: mã {code}. Không chia sẻ mã này.",
    password="{brand}: mật khẩu {password}. Không chia sẻ với ai.",
    link="{brand}: xác nhận: {link} Không chuyển tiếp.",
    reply="{brand}: trả lời SMS này bằng: {words} và từ trên màn hình.",
    call="{brand}: gọi {number} và bấm {digits} rồi hai chữ số trên màn hình.",
    payment="Trả {amount} cho {payee}",
    brief_code="Mã {code}. Không chia sẻ.",
)
