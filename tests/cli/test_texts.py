"""The promises of `otp-service texts`: all texts, what they cost, and whether anybody has reviewed them."""

import json
import re

import pytest

from service.core.actions import ACTIONS, Action
from service.core.texts import LOCALES, UNREVIEWED
from service.core.texts.segments import measured
from service.sandbox.segments import count_segments

LONGEST_REPLY = 15  # seven letters, a blank, seven letters


def words(row):
    """Return the words of a reply's text."""
    found = list(ACTIONS[Action.REPLY].found_in(row["text"]))
    return found[0] if found else ""


def test_texts_are_printed_in_every_language(cli):
    """`texts` prints each action in each language, what it takes with the longest secret, and what is unreviewed."""
    status, out, _ = cli("texts", "--json", OTP_BRAND="Rooster", OTP_LINK_URL="https://go.example.com")
    rows = json.loads(out)
    assert status == 0
    assert [(row["locale"], row["action"]) for row in rows] == [(each, action) for each in LOCALES for action in Action]
    for row in rows:
        size = measured(row["text"])
        assert (row["encoding"], row["length"] >= size.length) == (size.encoding, True)
        assert row["segments"] == count_segments(row["text"] + "0" * (row["length"] - size.length))
        assert row["length"] - size.length == {"code": 2, "password": 13, "reply": LONGEST_REPLY - len(words(row))}.get(
            row["action"], 0
        )
        assert row["reviewed"] is (row["locale"] not in UNREVIEWED)
        assert "Rooster" in row["text"]
        assert list(ACTIONS[Action(row["action"])].found_in(row["text"])) != []
        assert ("https://go.example.com/l/" in row["text"]) is (row["action"] == "link")


def test_texts_of_one_language_are_one_line_each(cli):
    """`texts --locale` reads a language tag; the table has one line for each text, also for one of several lines."""
    status, out, _ = cli("texts", "--locale", "ar-EG", "--web-origin", "login.example.com")
    lines = out.splitlines()
    assert status == 0
    assert lines[0].split() == ["country", "locale", "action", "encoding", "length", "segments", "state", "text"]
    assert [line.split()[:3] for line in lines[1:]] == [["any", "ar", str(action)] for action in Action]
    assert re.search(r"UCS-2 .* unreviewed .* / @login\.example\.com #[0-9]{6}$", lines[1])


def test_own_texts_are_marked(cli, tmp_path):
    """Texts of OTP_TEXTS stand in place of ours; those for a country are listed after all others."""
    own = '[locale.de]\ncode = "{code} für {brand}"\n[country.IN]\ncode = "{code} is your OTP."\n'
    (tmp_path / "own.toml").write_text(own, "utf-8")
    _, out, _ = cli("texts", "--locale", "de", "--json", OTP_TEXTS="own.toml", OTP_BRAND="Rooster")
    rows = [row for row in json.loads(out) if row["own"]]
    assert [(row["country"], row["locale"], row["action"], row["reviewed"]) for row in rows] == [
        (None, "de", "code", None),
        ("IN", None, "code", None),
    ]
    assert re.fullmatch("[0-9]{6} für Rooster", rows[0]["text"])
    assert re.fullmatch(r"[0-9]{6} is your OTP\.", rows[1]["text"])


def test_texts_in_an_unknown_language_are_refused(cli):
    """`texts --locale` for a language without texts ends with a sentence that lists the languages."""
    status, _, err = cli("texts", "--locale", "tlh")
    assert (status, err[:50]) == (2, "There are no texts in this language; there are: en")


@pytest.mark.parametrize(
    "text", ["http://login.example.com", "login.example.com/path", "192.0.2.1", "a b.com", "", "x." * 32 + "x"]
)
def test_a_host_that_the_api_refuses_is_refused(cli, text):
    """`texts --web-origin` takes what the API takes: of anything else it says why it is no host."""
    status, out, err = cli("texts", "--locale", "en", "--web-origin", text)
    assert (status, out) == (2, "")
    assert err.startswith("--web-origin: This is not a host: ")


def test_a_web_origin_may_be_written_as_an_origin(cli):
    """`texts --web-origin` reads an origin with https:// as the API does: the message names its host."""
    _, out, _ = cli("texts", "--locale", "en", "--web-origin", "https://login.example.com")
    assert re.search(r" / @login\.example\.com #[0-9]{6}$", out.splitlines()[1])
