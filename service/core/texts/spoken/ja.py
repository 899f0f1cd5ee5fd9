"""Japanese, unreviewed."""

from service.core.texts.spoken.sentences import Spoken

SPOKEN = Spoken(
    language="ja-JP",
    voice="Polly.Mizuki",
    ask="こちらは{brand}です。メッセージの六桁の数字を入力し、続けて画面の二桁の数字を入力してください。",
    again="正しくありません。メッセージの六桁の数字を入力し、続けて画面の二桁の数字を入力してください。",
    done="ありがとうございます。確認が完了しました。失礼いたします。",
    used="すでに確認済みです。失礼いたします。",
    failed="正しくありません。失礼いたします。",
    ended="もう確認できません。最初からやり直してください。失礼いたします。",
    nothing_keyed="何も入力されませんでした。失礼いたします。",
    press_any_key="こちらは{brand}です。いずれかのキーを押すと、認証コードをお伝えします。",
    code_is="{brand}の認証コードは、",
    once_more="もう一度お伝えします。",
    code_said="他人に教えないでください。失礼いたします。",
)
