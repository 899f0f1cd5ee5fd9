"""Traditional Chinese, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="cmn-TW",
    ask="這裡是{brand}。請輸入簡訊中的六位數字，然後輸入您螢幕上的兩位數字。",
    again="輸入不正確。請輸入簡訊中的六位數字，然後輸入您螢幕上的兩位數字。",
    done="謝謝，已確認。再見。",
    used="先前已經確認。再見。",
    failed="輸入不正確。再見。",
    ended="已無法確認，請重新開始。再見。",
    nothing_keyed="沒有收到按鍵。再見。",
    press_any_key="這裡是{brand}。請按任意鍵收聽驗證碼。",
    code_is="您的{brand}驗證碼是：",
    once_more="重複一次：",
    code_said="請勿告訴他人。再見。",
)
