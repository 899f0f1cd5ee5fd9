"""The promises of `service.logs.terminal_text`: colours and broken lines are for terminals, and only if wanted."""

import os
import pty
from contextlib import redirect_stdout
from functools import partial

import pytest

from service.logs.terminal_text import paint, wrap


@pytest.fixture
def terminal(monkeypatch):
    """Return a context manager in which standard output is a terminal with colours and 40 columns."""
    keyboard, screen = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with os.fdopen(keyboard), os.fdopen(screen, "w") as stdout:
        yield partial(redirect_stdout, stdout)  # pytest replaces standard output before each test


def test_a_terminal_has_colours(terminal):
    """On a terminal a text gets its colour, which ends with it."""
    with terminal():
        assert paint("text", "green") == "\033[32mtext\033[0m"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_can_be_turned_off(terminal, monkeypatch, name, value):
    """With NO_COLOR, or on a terminal without colours, a text stays plain."""
    monkeypatch.setenv(name, value)
    with terminal():
        assert paint("text", "green") == "text"


def test_lines_are_broken_between_words(terminal):
    """On a terminal a long text is broken between words, and each line begins in the same column."""
    text = "Twilio sent the message, but its answer with the SID of the message was lost."
    with terminal():
        lines = ("." * 8 + wrap(text, indent=8)).splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) <= 40
    assert all(line.startswith(" " * 8) and line[8] != " " for line in lines[1:])
    assert " ".join(line[8:] for line in lines) == text


def test_elsewhere_a_text_stays_as_it_is():
    """In a pipe or a file there is no colour and no line break; without standard output too."""
    reading, writing = os.pipe()
    with os.fdopen(reading), os.fdopen(writing, "w") as stdout:
        for output in (stdout, None):
            with redirect_stdout(output):
                assert (paint("text", "green"), wrap("word " * 50, indent=8)) == ("text", "word " * 50)
