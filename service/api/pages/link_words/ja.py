"""Japanese, unreviewed."""

from service.api.pages.link_words.words import Ending, Words

WORDS = Words(
    language="ja",
    title="確認",
    question="ご本人ですか？",
    purpose="目的",
    started="開始",
    origin="発信元",
    just_now="1分以内（{time} UTC）",
    a_minute_ago="1分前（{time} UTC）",
    minutes_ago="{minutes}分前（{time} UTC）",
    label="開始した画面に表示されている二桁の数字",
    only_you="開始した画面に数字が表示されている場合にのみ入力してください。他の人がこの数字を尋ねる理由はありません。",
    confirm="確認する",
    not_me="自分ではありません",
    malformed="開始した画面に表示されている二桁の数字を入力してください。",
    wrong_last="数字が違います。あと1回入力できます。",
    wrong="数字が違います。あと{left}回入力できます。",
    not_me_question="ご本人ではありませんか？",
    not_me_text="心当たりがない場合は、終了してください。誰も先に進めなくなります。",
    end_it="終了する（自分ではありません）",
    back="戻る",
    approved=Ending("確認しました", "このページを閉じてかまいません。"),
    used=Ending("すでに確認済みです", "以前に確認されています。このページを閉じてかまいません。"),
    expired=Ending("このリンクは古すぎます", "何も確認されていません。元の画面からやり直してください。"),
    superseded=Ending("新しいリンクがあります", "何も確認されていません。最新のメッセージのリンクを開いてください。"),
    ended=Ending("終了しました", "何も確認されていません。続ける場合は、元の画面からやり直してください。"),
    locked=Ending("間違いが多すぎます", "何も確認されていません。元の画面からやり直してください。"),
    unknown=Ending("このリンクはもう使えません", "元の画面からやり直してください。何も確認されていません。"),
    declined=Ending("ありがとうございます", "終了しました。誰も先に進めません。ほかに必要な操作はありません。"),
    not_declined=Ending(
        "今は終了できません", "間違いが多すぎるため、しばらくの間は誰も先に進めません。後でもう一度お試しください。"
    ),
    declined_late=Ending(
        "以前に確認されています",
        "そのため、ここではもう終了できません。心当たりがない場合は、すぐにサービスの運営者に知らせてください。",
    ),
    go_back="{place} に戻ることができます。",
    not_now=Ending(
        "少し待ってからもう一度お試しください", "今は処理できません。しばらく待ってから、もう一度お試しください。"
    ),
    failed="うまくいきませんでした",
    try_again="もう一度試す",
)
