"""Korean, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="{brand} 인증번호는 {code}입니다. 타인에게 알려주지 마세요.",
    password="{brand} 비밀번호는 {password}입니다. 타인에게 알려주지 마세요.",
    link="{brand} 본인 확인: {link} 타인에게 전달하지 마세요.",
    reply="{brand}: 이 문자에 {words} 및 화면의 단어로 답장하세요.",
    call="{brand}: {number} 번호로 전화하여 {digits} 및 화면의 두 자리 숫자를 입력하세요.",
    payment="{payee}에 {amount} 결제",
    brief_code="인증번호 {code} 타인 노출 금지",
)
