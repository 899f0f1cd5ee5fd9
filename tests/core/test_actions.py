"""The promises of `service.core.actions`: every action is complete, and each test number has its own secret."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.actions import ACTIONS, Action, Secrets, code, password
from service.core.message_texts import MessageTexts
from service.core.texts import LOCALES, WORDINGS
from service.core.texts.segments import LONGEST_BRAND, measured, septets
from service.core.verification import VerificationRequest
from service.sandbox.segments import count_segments

numbers = st.from_regex(r"\A\+[1-9][0-9]{6,14}\Z")


@given(st.dictionaries(numbers, st.from_regex(r"\A[0-9]{4,8}\Z"), max_size=4), numbers)
def test_a_fixed_code_belongs_to_its_number_alone(fixed: dict[str, str], number: str) -> None:
    """A test number has its own code, which no other number has."""
    secrets = Secrets(fixed)
    for test_number, digits in fixed.items():
        assert secrets.fixed_for(test_number) == digits
    if number not in fixed:
        assert secrets.fixed_for(number) is None


def test_fixed_codes_are_not_shown() -> None:
    """Neither a test number nor its code appears in a repr, which a traceback might print."""
    assert not {"4155550100", "493027"} & set(re.findall(r"\d+", repr(Secrets({"+14155550100": "493027"}))))


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("locale", LOCALES)
def test_the_secret_of_each_message_can_be_read_back(action: Action, locale: str) -> None:
    """Every message contains the secret of its action, in every language, and the secret is read back unchanged."""
    secret = drawn(action)
    text = MessageTexts("Acme", "https://otp.example.com", "+14155550123").write(
        VerificationRequest("US", locale=locale, action=action), secret
    )
    assert list(ACTIONS[action].found_in(text)) == [secret]
    assert ACTIONS[action].read(secret) == secret


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("locale", LOCALES)
def test_every_message_fits_its_segments(action: Action, locale: str) -> None:
    """With the longest values (an address of 40 characters) a text is one segment, or two outside the alphabet.

    The simulator counts the same with a table of its own.
    """
    lengths = {Action.CODE: code.LONGEST, Action.PASSWORD: password.LONGEST}
    texts = MessageTexts("B" * LONGEST_BRAND, "https://" + "o" * 32, "+" + "9" * 15)
    secret = ACTIONS[action].draw(lengths.get(action, 0), "f")
    message = texts.write(VerificationRequest("US", locale=locale, action=action), secret)
    size = measured(message)
    assert size.segments == count_segments(message)
    is_one = action is Action.CODE or septets(getattr(WORDINGS[locale], action)) is not None
    assert size.segments <= (1 if is_one else 2)


@pytest.mark.parametrize("action", sorted(set(Action) - {Action.CODE}))
@pytest.mark.parametrize("field", [{"web_origin": "a.example"}, {"app_hash": "FA+9qCX9VSu"}])
def test_only_a_code_can_be_filled_in(action: Action, field: dict[str, str]) -> None:
    """A password and a link never have the last line for browsers or apps, which expect a short code."""
    with pytest.raises(ValueError, match="for codes"):
        MessageTexts("Acme", "https://otp.example.com", "+14155550123").write(
            VerificationRequest("US", action=action, **field), drawn(action)
        )


@pytest.mark.parametrize("action", Action)
def test_a_secret_is_found_only_by_its_own_action(action: Action) -> None:
    """What is drawn for one action is no secret of another, so a message is found by the right one."""
    secret = drawn(action)
    text = MessageTexts("Acme", "https://otp.example.com", "+14155550123").write(
        VerificationRequest("US", action=action), secret
    )
    others = set(Action) - ({Action.CODE, Action.CALL} if action in (Action.CODE, Action.CALL) else {action})  # digits
    assert all(secret not in ACTIONS[other].found_in(text) for other in others)


def test_the_password_of_a_test_number_is_its_code_repeated() -> None:
    """A test number has one fixed password of each length, which the settings need not name."""
    secrets = Secrets({"+14155550100": "493027"})
    assert secrets.fixed_for("+14155550100", Action.PASSWORD, 13) == "4930274930274"
    assert password.read("49302-74930-274") == "4930274930274"


def drawn(action: Action) -> str:
    """Draw a secret of a usual length."""
    return ACTIONS[action].draw({Action.CODE: 6, Action.PASSWORD: 13}.get(action, 0), "7")
