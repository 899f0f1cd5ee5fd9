"""The promises of `service.core.actions`: every action is complete, and each test number has its own secret."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.actions import ACTIONS, Action, Secrets
from service.core.texts import LOCALES

numbers = st.from_regex(r"\A\+[1-9][0-9]{6,14}\Z")


@given(st.dictionaries(numbers, st.from_regex(r"\A[0-9]{4,8}\Z"), max_size=4), numbers)
def test_a_fixed_code_belongs_to_its_number_alone(fixed: dict[str, str], number: str) -> None:
    """A test number has its own code, which no other number has."""
    secrets = Secrets(fixed)
    for test_number, code in fixed.items():
        assert secrets.fixed_for(test_number) == code
    if number not in fixed:
        assert secrets.fixed_for(number) is None


def test_fixed_codes_are_not_shown() -> None:
    """Neither a test number nor its code appears in a repr, which a traceback might print."""
    assert not {"4155550100", "493027"} & set(re.findall(r"\d+", repr(Secrets({"+14155550100": "493027"}))))


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("locale", LOCALES)
def test_the_secret_of_each_message_can_be_read_back(action: Action, locale: str) -> None:
    """Every message contains the secret of its action, in every language, and the secret is read back unchanged."""
    secret = ACTIONS[action].draw(6)
    text = ACTIONS[action].text(secret, brand="Acme", locale=locale, web_origin=None, app_hash=None)
    assert secret in text
    assert ACTIONS[action].read(secret) == secret
