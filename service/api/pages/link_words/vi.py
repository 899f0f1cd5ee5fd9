"""Vietnamese, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="vi",
    title="Xác nhận",
    question="Có phải là bạn không?",
    purpose="Mục đích",
    started="Bắt đầu",
    origin="Từ",
    just_now="chưa đầy một phút trước, lúc {time} UTC",
    a_minute_ago="1 phút trước, lúc {time} UTC",
    minutes_ago="{minutes} phút trước, lúc {time} UTC",
    label="Hai chữ số bạn thấy ở nơi bạn bắt đầu",
    only_you="Chỉ nhập hai chữ số nếu bạn thấy chúng ở nơi bạn bắt đầu. Không ai khác có lý do để hỏi bạn.",
    confirm="Xác nhận",
    not_me="Không phải tôi",
    malformed="Hãy nhập hai chữ số của trang nơi bạn bắt đầu.",
    wrong_last="Đó không phải là hai chữ số đúng. Bạn còn 1 lần thử.",
    wrong="Đó không phải là hai chữ số đúng. Bạn còn {left} lần thử.",
    not_me_question="Không phải là bạn?",
    not_me_text="Nếu bạn không yêu cầu việc này, hãy kết thúc. Khi đó không ai có thể tiếp tục.",
    end_it="Kết thúc: không phải tôi",
    back="Quay lại",
    approved=Ending("Đã xác nhận", "Bạn có thể đóng trang này."),
    used=Ending("Đã được xác nhận", "Việc này đã được xác nhận trước đó. Bạn có thể đóng trang này."),
    expired=Ending("Liên kết này đã quá cũ", "Chưa có gì được xác nhận. Hãy bắt đầu lại từ nơi bạn đến."),
    superseded=Ending("Có một liên kết mới hơn", "Chưa có gì được xác nhận. Hãy mở liên kết trong tin nhắn mới nhất."),
    ended=Ending(
        "Việc này đã kết thúc", "Chưa có gì được xác nhận. Nếu vẫn muốn tiếp tục, hãy bắt đầu lại từ nơi bạn đến."
    ),
    locked=Ending("Quá nhiều lần thử sai", "Chưa có gì được xác nhận. Hãy bắt đầu lại từ nơi bạn đến."),
    unknown=Ending("Liên kết này không còn hoạt động", "Hãy bắt đầu lại từ nơi bạn đến. Chưa có gì được xác nhận."),
    declined=Ending("Cảm ơn bạn", "Đã kết thúc: không ai có thể tiếp tục. Bạn không cần làm gì thêm."),
    not_declined=Ending(
        "Hiện không thể kết thúc", "Đã có quá nhiều lần thử sai nên tạm thời không ai có thể tiếp tục. Hãy thử lại sau."
    ),
    declined_late=Ending(
        "Việc này đã được xác nhận trước đó",
        "Vì vậy không thể kết thúc ở đây nữa. Nếu không phải là bạn, hãy báo ngay cho người vận hành dịch vụ.",
    ),
    go_back="Bạn có thể quay lại {place}.",
    not_now=Ending("Hãy thử lại sau giây lát", "Hiện không thể thực hiện. Hãy chờ một chút rồi thử lại."),
    failed="Không thành công",
    try_again="Thử lại",
)
