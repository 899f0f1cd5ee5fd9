"""Vietnamese, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="vi-VN",
    ask="Đây là {brand}. Hãy bấm sáu chữ số trong tin nhắn, rồi bấm hai chữ số trên màn hình.",
    again="Không đúng. Hãy bấm sáu chữ số trong tin nhắn, rồi bấm hai chữ số trên màn hình.",
    done="Cảm ơn. Đã xác nhận. Tạm biệt.",
    used="Đã được xác nhận trước đó. Tạm biệt.",
    failed="Không đúng. Tạm biệt.",
    ended="Không thể xác nhận được nữa. Hãy bắt đầu lại. Tạm biệt.",
    nothing_keyed="Chưa bấm phím nào. Tạm biệt.",
    press_any_key="Đây là {brand}. Bấm phím bất kỳ để nghe mã của bạn.",
    code_is="Mã {brand} của bạn là:",
    once_more="Xin nhắc lại:",
    code_said="Không chia sẻ mã này với ai. Tạm biệt.",
)
