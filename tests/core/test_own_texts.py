"""The promises of `service.core.own_texts`: exact for a country, checked before the start, refused in a sentence."""

import re
import tomllib
from pathlib import Path

import pytest

from service.core.actions import ACTIONS, Action
from service.core.channels import Channel
from service.core.issue_policy import ActionUnfit, IssuePolicy, Secrets
from service.core.message_texts import MessageTexts
from service.core.own_texts import read_own_texts
from service.core.phone import NumberPolicy
from service.core.profiles import Profile
from service.core.texts.segments import measured
from service.core.verification import VerificationRequest

ADDRESS = "https://otp.example.com"
POLICY = IssuePolicy(6, 600, Secrets(), NumberPolicy())
TEXTS = {
    "locale": {"de": {"code": "{code} ist dein Code bei {brand}."}},
    "country": {
        "IN": {
            "code": "{code} is your OTP for {brand}. EXMPLE",
            "link": {"text": "{brand}: open " + "a" * 100 + " {link}", "segments": 2},
            "hi": {"code": "{code} आपका OTP है।"},
        }
    },
}


def own(tables):
    """Read texts and check them, as at the start."""
    texts = read_own_texts(tables)
    texts.check("Acme", ADDRESS)
    return texts


def written(action=Action.CODE, secret="583092", **asked):
    """Write a message with the texts above."""
    request = VerificationRequest(**{"country": "US", "action": action} | asked)
    return MessageTexts("Acme", ADDRESS, own=own(TEXTS)).write(request, secret)


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({}, "Your Acme code is 583092. Do not share it."),
        ({"locale": "de"}, "583092 ist dein Code bei Acme."),
        ({"country": "DE", "locale": "de"}, "583092 ist dein Code bei Acme."),
        ({"country": "IN"}, "583092 is your OTP for Acme. EXMPLE"),
        ({"country": "IN", "locale": "de"}, "583092 is your OTP for Acme. EXMPLE"),
        ({"country": "IN", "locale": "hi"}, "583092 आपका OTP है।"),
    ],
)
def test_the_text_of_a_country_comes_before_that_of_a_language(asked, text):
    """A message has the own text of its country and language, else of its country, else of its language, else ours."""
    assert written(**asked) == text


@pytest.mark.parametrize("asked", [{"web_origin": "a.example"}, {"app_hash": "FA+9qCX9VSu"}])
def test_nothing_is_added_to_the_text_of_a_country(asked):
    """A text for a country is exact to the character; one for a language gets the line for browsers or apps."""
    assert written(country="IN", **asked) == "583092 is your OTP for Acme. EXMPLE"
    message = written(locale="de", **asked)
    assert re.fullmatch(r"583092 ist dein Code bei Acme\.\n\n(@a\.example #583092|FA\+9qCX9VSu)", message)


@pytest.mark.parametrize(
    ("country", "locale", "action", "field"),
    [
        ("IN", "en", Action.CODE, None),
        ("IN", "hi", Action.CODE, None),
        ("IN", "en", Action.PASSWORD, "action"),
        ("IN", "hi", Action.LINK, None),  # by the text for any language
        ("NP", "en", Action.PASSWORD, None),  # of which there is no text at all
        ("LK", "ta", Action.CODE, "action"),
        ("LK", "hi", Action.CODE, None),
    ],
)
def test_what_the_texts_of_a_country_do_not_cover_is_refused(country, locale, action, field):
    """Where a country has texts, ours do not go out in place of one that is missing: its carriers may drop them."""
    tables = TEXTS | {"country": TEXTS["country"] | {"LK": {"hi": {"code": "{code} OTP"}}}}
    profile = Profile(MessageTexts("Acme", ADDRESS, own=own(tables)))
    request = VerificationRequest(country, locale=locale, action=action)
    if field is None:
        POLICY.check_channel(Channel.SMS, request, profile)
        return
    with pytest.raises(ActionUnfit, match=rf"of your own for {country}, but none for the action") as refused:
        POLICY.check_channel(Channel.SMS, request, profile)
    assert refused.value.field == field
    assert f"[country.{country}] {action}" in str(refused.value)


def test_a_code_by_another_channel_needs_no_text():
    """What has no text of ours goes to a country with texts as to any other."""
    tables = {"country": {"IN": {"password": "{password} is your password"}}}
    profile = Profile(MessageTexts("Acme", own=own(tables)))
    POLICY.check_channel(Channel.VOICE, VerificationRequest("IN"), profile)
    with pytest.raises(ActionUnfit):
        POLICY.check_channel(Channel.SMS, VerificationRequest("IN"), profile)


def test_an_action_without_an_own_text_has_ours():
    """An own text is for its action alone."""
    assert written(Action.PASSWORD, "7KQ2MX40BT9WD", country="IN").startswith("Your Acme password is 7KQ2M-X40BT-9WD.")


def test_a_call_has_its_number_and_digits():
    """An own text for a call is filled with the number to call and the digits; a reply keeps its two words together."""
    tables = {"locale": {"en": {"call": "{digits} on {number} for {brand}", "reply": "Say {words}!"}}}
    texts = MessageTexts("Acme", call_number="+15005550006", own=own(tables))
    assert texts.write(VerificationRequest("US", action=Action.CALL), "583092") == "583092 on +15005550006 for Acme"
    assert texts.write(VerificationRequest("US", action=Action.REPLY), "maple river") == "Say maple river!"


def test_a_text_may_take_the_segments_that_it_asks_for():
    """With `segments = 2` a long text is sent."""
    token = ACTIONS[Action.LINK].draw(0, "0", None)
    assert measured(written(Action.LINK, token, country="IN")).segments == 2


def test_braces_of_a_brand_stay():
    """A brand is put in as it is, braces too, and doubled braces of a text are single in the message."""
    texts = MessageTexts("{code}", ADDRESS, own=own({"locale": {"en": {"code": "{{x}} {brand}: {code}"}}}))
    assert texts.write(VerificationRequest("US"), "583092") == "{x} {code}: 583092"


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        ({"locale": {"de": {"code": "Hallo {brand}"}}}, "[locale.de] code: it lacks {code}"),
        ({"country": {"IN": {"code": "{brand}"}}}, "[country.IN] code: it lacks {code}"),
        ({"country": {"IN": {"hi": {"code": "x"}}}}, "[country.IN.hi] code: it lacks {code}"),
        ({"locale": {"de": {"password": "{code}"}}}, "[locale.de] password: nothing fills {code}; "),
        ({"locale": {"de": {"code": "{code} {minutes}"}}}, "nothing fills {minutes}; there are {brand} and {code}"),
        ({"locale": {"de": {"call": "{digits}"}}}, "[locale.de] call: it lacks {number}"),
        ({"locale": {"de": {"call": "{number}"}}}, "[locale.de] call: it lacks {digits}"),
        ({"locale": {"de": {"code": "{code!r}"}}}, "nothing fills {code}"),
        ({"locale": {"de": {"code": "{code:>9}"}}}, "nothing fills {code}"),
        ({"locale": {"de": {"code": "{code.real}"}}}, "nothing fills {code.real}"),
        ({"locale": {"de": {"code": "{} {code}"}}}, "nothing fills {}"),
        ({"locale": {"de": {"code": "{code} {"}}}, "a brace has no partner"),
        ({"locale": {"de": {"code": "{code}\u202e"}}}, "a character that cannot be seen"),
        ({"locale": {"de": {"code": "{code}\r\n"}}}, "a character that cannot be seen"),
        ({"locale": {"de": {"code": "1{code}"}}}, "the secret runs into what is beside it"),
        ({"locale": {"de": {"reply": "x{words}"}}}, "the secret runs into what is beside it"),
        ({"locale": {"de": {"link": "{link}a"}}}, "the secret runs into what is beside it"),
        ({"locale": {"de": {"code": "{code} 2026"}}}, "the secret runs into what is beside it"),
        ({"locale": {"de": {"code": "{code}" + "x" * 153}}}, "it takes 2 segments with the longest secret"),
        ({"locale": {"de": {"code": "{code} ł " + "x" * 18}}}, "it takes 2 segments with the longest secret"),
        ({"country": {"IN": {"code": "{code} ł " + "x" * 60}}}, "or write { text = …, segments = 2 }"),
        ({"locale": {"tlh": {"code": "{code}"}}}, "[locale.tlh]: this is not one of our languages"),
        ({"country": {"India": {"code": "{code}"}}}, "[country.India]: this is not a region"),
        ({"country": {"IN": {"codes": "{code}"}}}, "[country.IN] codes: there are texts for code, "),
        ({"locale": {"de": {"voice": "{code}"}}}, "[locale.de] voice: there are texts for code, "),
        ({"locale": {"de": {"code": 1}}}, "[locale.de] code: write a text"),
        ({"locale": {"de": {"code": {"segments": 2}}}}, "[locale.de] code: write a text"),
        ({"locale": {"de": {"code": {"text": "{code}", "segment": 2}}}}, "[locale.de] code: write a text"),
        ({"locale": {"de": {"code": {"text": "{code}", "segments": 0}}}}, "a whole number from 1 to 10"),
        ({"locale": {"de": {"code": {"text": "{code}", "segments": "2"}}}}, "a whole number from 1 to 10"),
        ({"locale": {"de": "{code}"}}, "write a table such as [locale.de]"),
        ({"code": "{code}"}, "write tables such as [locale.de] and [country.IN]"),
    ],
)
def test_a_text_that_cannot_be_sent_is_refused(tables, sentence):
    """What would fail or surprise when a person waits is refused at the start, with its place in the file."""
    with pytest.raises(ValueError, match=re.escape(sentence)):
        own(tables)


def test_the_example_of_the_docs_is_accepted():
    """The file in docs/settings.md is one that the service starts with."""
    page = (Path(__file__).parents[2] / "docs/settings.md").read_text("utf-8")
    [example] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert len(own(tomllib.loads(example)).texts) == 4
