"""Korean, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="ko-KR",
    voice="Polly.Seoyeon",
    ask="{brand}입니다. 문자의 여섯 자리 숫자를 누르고, 이어서 화면의 두 자리 숫자를 누르세요.",
    again="올바르지 않습니다. 문자의 여섯 자리 숫자를 누르고, 이어서 화면의 두 자리 숫자를 누르세요.",
    done="감사합니다. 확인되었습니다. 안녕히 계세요.",
    used="이미 확인되었습니다. 안녕히 계세요.",
    failed="올바르지 않습니다. 안녕히 계세요.",
    ended="더 이상 확인할 수 없습니다. 처음부터 다시 시작하세요. 안녕히 계세요.",
    nothing_keyed="아무것도 입력되지 않았습니다. 안녕히 계세요.",
    press_any_key="{brand}입니다. 인증번호를 들으려면 아무 버튼이나 누르세요.",
    code_is="{brand} 인증번호입니다.",
    once_more="다시 한번 말씀드립니다.",
    code_said="타인에게 알려주지 마세요. 안녕히 계세요.",
)
