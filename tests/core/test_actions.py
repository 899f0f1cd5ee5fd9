"""The promises of `service.core.actions`: every action is complete, and a test number has a secret of its own."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.actions import ACTIONS, Action, Secrets
from service.core.texts import LOCALES

numbers = st.from_regex(r"\A\+[1-9][0-9]{6,14}\Z")


@given(st.dictionaries(numbers, st.from_regex(r"\A[0-9]{4,8}\Z"), max_size=4), numbers)
def test_a_fixed_code_belongs_to_its_number_alone(fixed: dict[str, str], number: str) -> None:
    """A test number has its own code, and no other number has one."""
    secrets = Secrets(fixed)
    for test_number, code in fixed.items():
        assert secrets.fixed_for(test_number) == code
    if number not in fixed:
        assert secrets.fixed_for(number) is None


def test_fixed_codes_are_not_shown() -> None:
    """Neither a test number nor its code stands in what a traceback might print."""
    assert not {"4155550100", "493027"} & set(re.findall(r"\d+", repr(Secrets({"+14155550100": "493027"}))))


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("locale", LOCALES)
def test_a_person_can_give_back_what_each_message_carries(action: Action, locale: str) -> None:
    """Whatever secret an action draws stands in its message in every language, and is read back as it was drawn."""
    secret = ACTIONS[action].draw(6)
    text = ACTIONS[action].text(secret, brand="Acme", locale=locale, web_origin=None, app_hash=None)
    assert secret in text
    assert ACTIONS[action].read(secret) == secret
