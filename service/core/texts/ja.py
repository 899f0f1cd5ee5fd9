"""Japanese, unreviewed."""

from service.core.texts.wording import Wording

WORDING = Wording(
    code="{brand}の認証コードは{code}です。他人に教えないでください。",
    password="{brand}のパスワードは{password}です。他人に教えないでください。",
    link="{brand}の本人確認はこちら： {link} 転送しないでください。",
    reply="{brand}：このメッセージに {words} と画面の単語を返信してください。",
    call="{brand}：{number} に電話し、{digits} と画面の二桁の数字を入力してください。",
    payment="{payee}へ {amount} の支払い",
    brief_code="認証コード {code} 他人に教えないでください",
)
