"""Simplified Chinese, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="cmn-CN",
    voice="Polly.Zhiyu",
    ask="这里是{brand}。请输入短信中的六位数字，然后输入您屏幕上的两位数字。",
    again="输入不正确。请输入短信中的六位数字，然后输入您屏幕上的两位数字。",
    done="谢谢，已确认。再见。",
    used="此前已经确认。再见。",
    failed="输入不正确。再见。",
    ended="已无法确认，请重新开始。再见。",
    nothing_keyed="没有收到按键。再见。",
    press_any_key="这里是{brand}。请按任意键收听验证码。",
    code_is="您的{brand}验证码是：",
    once_more="重复一遍：",
    code_said="请勿告知他人。再见。",
)
