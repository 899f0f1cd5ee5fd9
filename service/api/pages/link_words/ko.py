"""Korean, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="ko",
    title="확인",
    question="본인이 맞습니까?",
    purpose="목적",
    started="시작",
    origin="출처",
    just_now="1분 이내, {time} UTC",
    a_minute_ago="1분 전, {time} UTC",
    minutes_ago="{minutes}분 전, {time} UTC",
    label="시작한 화면에 보이는 두 자리 숫자",
    only_you="시작한 화면에 숫자가 보일 때만 입력하세요. 다른 사람이 이 숫자를 물어볼 이유는 없습니다.",
    confirm="확인",
    not_me="본인이 아닙니다",
    malformed="시작한 화면에 표시된 두 자리 숫자를 입력하세요.",
    wrong_last="숫자가 맞지 않습니다. 1번 더 입력할 수 있습니다.",
    wrong="숫자가 맞지 않습니다. {left}번 더 입력할 수 있습니다.",
    not_me_question="본인이 아닙니까?",
    not_me_text="요청한 적이 없다면 종료하세요. 그러면 아무도 계속할 수 없습니다.",
    end_it="종료: 본인이 아닙니다",
    back="뒤로",
    approved=Ending("확인되었습니다", "이 페이지를 닫아도 됩니다."),
    used=Ending("이미 확인되었습니다", "이전에 확인되었습니다. 이 페이지를 닫아도 됩니다."),
    expired=Ending("이 링크는 너무 오래되었습니다", "아무것도 확인되지 않았습니다. 처음 화면에서 다시 시작하세요."),
    superseded=Ending("더 새로운 링크가 있습니다", "아무것도 확인되지 않았습니다. 가장 최근 메시지의 링크를 여세요."),
    ended=Ending("종료되었습니다", "아무것도 확인되지 않았습니다. 계속하려면 처음 화면에서 다시 시작하세요."),
    locked=Ending("잘못된 시도가 너무 많습니다", "아무것도 확인되지 않았습니다. 처음 화면에서 다시 시작하세요."),
    unknown=Ending(
        "이 링크는 더 이상 사용할 수 없습니다", "처음 화면에서 다시 시작하세요. 아무것도 확인되지 않았습니다."
    ),
    declined=Ending("감사합니다", "종료되었습니다. 아무도 계속할 수 없습니다. 더 하실 일은 없습니다."),
    not_declined=Ending(
        "지금은 종료할 수 없습니다",
        "잘못된 시도가 너무 많아 잠시 동안 아무도 계속할 수 없습니다. 나중에 다시 시도하세요.",
    ),
    declined_late=Ending(
        "이전에 확인되었습니다",
        "그래서 여기서는 더 이상 종료할 수 없습니다. 본인이 아니라면 즉시 서비스 운영자에게 알리세요.",
    ),
    go_back="{place}(으)로 돌아갈 수 있습니다.",
    not_now=Ending("잠시 후 다시 시도하세요", "지금은 처리할 수 없습니다. 잠시 기다렸다가 다시 시도하세요."),
    failed="실패했습니다",
    try_again="다시 시도",
)
