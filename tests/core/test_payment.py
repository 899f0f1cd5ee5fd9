"""The promises of `service.core.payment`: the message shows the payment, and the secret is valid for it alone."""

import re
from itertools import product

import pytest

from service.core.actions import Action
from service.core.channels import Channel
from service.core.issue_policy import ActionUnfit, IssuePolicy, Secrets
from service.core.keyring import Keyring
from service.core.message_texts import MessageTexts
from service.core.own_texts import read_own_texts
from service.core.payment import LONGEST_AMOUNT, LONGEST_PAYEE, Payment, bound, read_amount, read_payee
from service.core.phone import NumberPolicy
from service.core.profiles import Profile
from service.core.texts import LOCALES, WORDINGS
from service.core.texts.segments import LONGEST_BRAND, measured
from service.core.verification import VerificationRequest
from service.sandbox.segments import count_segments

PAYMENT = Payment("12.50 EUR", "Acme Books")
LONGEST = {"latin": Payment("9" * LONGEST_AMOUNT, "P" * LONGEST_PAYEE), "polish": Payment("9" * 20, "Ł" * 30)}
SECRETS = {Action.CODE: "83920174", Action.PASSWORD: "7KQ2MX40BT9WD7KQ2MX40BT9"}
FRAME = {"web_origin": "o" * 30}

POLICY = IssuePolicy(6, 600, Secrets(), NumberPolicy())


@pytest.mark.parametrize("locale", LOCALES)
def test_every_language_shows_the_payment_first(locale):
    """The first line shows amount and payee, and the usual text with its warning follows."""
    texts = MessageTexts("Acme")
    for action, secret in SECRETS.items():
        request = VerificationRequest("US", locale=locale, action=action)
        line, usual = texts.write(request, secret, PAYMENT).split("\n", 1)
        assert "12.50 EUR" in line
        assert "Acme Books" in line
        assert usual == texts.write(request, secret)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("payment", LONGEST.values(), ids=LONGEST)
def test_the_longest_payment_is_two_segments(locale, payment):
    """With the longest values, and a host of 30 characters, a message is two segments, also as Twilio counts them."""
    texts = MessageTexts("B" * LONGEST_BRAND)
    for (action, secret), more in product(SECRETS.items(), ({}, FRAME)):
        if action is Action.PASSWORD and more:
            continue
        message = texts.write(VerificationRequest("US", locale=locale, action=action, **more), secret, payment)
        assert measured(message).segments == count_segments(message) <= 2
        length = {"code_length": 8} if action is Action.CODE else {"password_length": 24}
        asked = VerificationRequest("US", locale=locale, action=action, **length, **more)
        assert texts.most_segments(asked, payment) == measured(message).segments, "as a budget counts it"
        assert {payment.amount, payment.payee} <= set(re.findall("9{20}|P{30}|Ł{30}", message))
        assert message.endswith(f"\n\n@{FRAME['web_origin']} #{secret}") or not more


@pytest.mark.parametrize("locale", LOCALES)
def test_a_usual_payment_keeps_brand_and_warning(locale):
    """With values of usual length the brand stays, also beside the line for the browser."""
    request = VerificationRequest("US", locale=locale, web_origin="login.example.com")
    message = MessageTexts("Acme").write(request, "583092", PAYMENT)
    wording = WORDINGS[locale]
    assert wording.code.format(brand="Acme", code="583092") in message
    assert measured(message).segments <= 2


def test_what_does_not_fit_is_refused_in_a_sentence():
    """Too long a host, an app that would not read it, and the exact text of a country stop an issue or a resend."""
    own = read_own_texts({"country": {"IN": {"code": "{code} is your OTP"}}})
    for asked, sentence in (
        ({"web_origin": "o" * 64, "embedded_origin": "o" * 64, "locale": "ru"}, "too long for one message"),
        ({"app_hash": "FA+9qCX9VSu", "locale": "ru"}, "too long for one message"),
        ({"country": "IN"}, "the text for IN in OTP_TEXTS is sent as it is"),
    ):
        request = VerificationRequest(**{"country": "US", "code_length": 6} | asked)
        profile = Profile(MessageTexts("Acme", own=own))
        with pytest.raises(ActionUnfit, match=sentence) as refused:
            POLICY.check_channel(Channel.SMS, request, profile, Payment("9" * 20, "漢" * 30))
        assert refused.value.field == "payee"


def test_an_own_text_of_a_language_follows_the_payment():
    """The operator's own text of a language comes after our line."""
    own = read_own_texts({"locale": {"en": {"code": "{code} for {brand}"}}})
    message = MessageTexts("Acme", own=own).write(VerificationRequest("US"), "583092", PAYMENT)
    assert message == "Pay 12.50 EUR to Acme Books\n583092 for Acme"


@pytest.mark.parametrize("channel", [Channel.WHATSAPP, Channel.VOICE])
def test_other_channels_cannot_show_a_payment(channel):
    """A message whose text is not ours cannot show amount and payee, so it is refused."""
    with pytest.raises(ActionUnfit, match="cannot show amount and payee"):
        POLICY.check_channel(channel, VerificationRequest("US"), Profile(MessageTexts("Acme")), PAYMENT)


@pytest.mark.parametrize(
    "amount",
    ["12.50 EUR", "1.250,00 €", "1 234,50 €", "¥1,200", "12'500.-- CHF", "\u0665\u0660.\u0665\u0660 AED", "100"],
)
def test_amounts_are_taken_as_people_write_them(amount):
    """Full stops between digits, currencies of any script, and no-break blanks belong to amounts."""
    assert read_amount(f" {amount} ") == amount


@pytest.mark.parametrize("amount", ["EUR", "", "1\n2", "1\u200b2", "5 evil.example", "<1>", "1@2", "1\\2"])
def test_what_is_no_amount_is_refused(amount):
    """Without a digit, with a line break, with what cannot be seen, or with an address, it is no amount."""
    with pytest.raises(ValueError, match=r"amount|blanks|line|seen|address|one of"):
        read_amount(amount)


@pytest.mark.parametrize("payee", ["Acme Books", "Müller & Söhne Co. KG", "Novo A/S", "H&M", "楽天 株式会社"])
def test_payees_are_taken_as_people_write_them(payee):
    """Names of companies and people are payees, composed in one way."""
    assert read_payee(payee) == payee
    assert read_payee("Mu\u0308ller") == "Müller"


@pytest.mark.parametrize("payee", [" ", "evil.example", "http://evil", "a\nb", "a@b", "\u202eA"])
def test_a_payee_is_no_address(payee):
    """What phones would make a link of, a line break, and marks that turn the text are refused."""
    with pytest.raises(ValueError, match=r"blanks|address|line|one of|seen"):
        read_payee(payee)


def test_a_secret_is_digested_with_its_payment():
    """Another amount, another payee, none of them, or what moves from one to the other gives another digest and tag."""
    keyring = Keyring([b"s" * 32], b"i" * 32)
    others = [
        Payment("12.50 EUR", "Acme Book"), Payment("12.50 EU", "RAcme Books"), Payment("", "12.50 EUR"),
        Payment("12.50 EUR", ""), Payment.of("12.50 EUR", None), None,
    ]  # fmt: skip
    assert bound("583092", None) == "583092"
    digests = {keyring.code_digests("ve_1", bound("583092", each)) for each in (PAYMENT, *others)}
    assert len(digests) == len({PAYMENT, *others})
    tags = {keyring.payment_tag("ve_1", each.content) for each in {PAYMENT, *others} if each}
    assert len(tags) == len({PAYMENT, *others}) - 1
    assert keyring.payment_tag("ve_2", PAYMENT.content) not in tags
    assert Payment.read(PAYMENT.content) == PAYMENT
    assert Payment.of(None, None) is None
