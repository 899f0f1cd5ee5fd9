"""One vocabulary: code, tests, documents and pages use the terms of the glossary in docs/architecture.md."""

import re

from tests.documents import PAGES, ROOT, name_of

# Words that the glossary replaces, as words and as parts of a name.
REPLACED = re.compile(
    r"doors?|debts?|ow(?:e|es|ed|ing)|mend(?:s|ed|ing)?|judg(?:e|es|ed|ing)|trails?|bur(?:y|ies|ied|ying)|wish(?:es|ed)?"
    r"|standins?|journals?|lanes?|express"
)
ALLOWED = {("tests/bench/peers/django_site/settings.py", "journal")}  # an option of SQLite
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
STAND_IN = re.compile(r"(stand)[-_](ins?)(?![a-z])", re.IGNORECASE)
CODE = {".py", ".lua", ".html", ".js", ".ts", ".mts", ".css"}
SUFFIXES = CODE | {".md", ".yml", ".toml", ".sh", ".conf", ".service", ".example"}
FOLDERS = [ROOT / name for name in ("service", "clients", "tests", "deploy", "docs", ".ci", ".github")]
FILES = [ROOT / name for name in ("Makefile", ".env.example", "docker-compose.yml", "pyproject.toml", ".ci/run")]


def texts():
    """Return the files of the project that people read."""
    found = [path for folder in FOLDERS for path in folder.rglob("*") if path.suffix in SUFFIXES]
    return sorted({*found, *FILES, *PAGES, *(ROOT / "deploy").glob("*file")} - {ROOT / "tests" / "test_vocabulary.py"})


def replaced(text):
    """Return the replaced words in a text and in its names: `open_door`, `OpenDoor` and `open-door` contain `door`."""
    words = (word.lower() for word in WORD.findall(STAND_IN.sub(r"\1\2", text)))
    return [word for word in words if REPLACED.fullmatch(word)]


def test_no_replaced_word_is_used():
    """No file contains a word that the glossary replaces."""
    found = [
        f"{name_of(path)}:{number}: {word}"
        for path in texts()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        for word in replaced(line)
        if (name_of(path), word) not in ALLOWED
    ]
    assert found == []


def test_a_replaced_word_would_be_found():
    """A replaced word is found in sentences and in names, but not within a longer word."""
    for text in ("Mend it.", "open_lane()", "class OpenDoor", "a stand-in", "STAND_INS", "TRAILS = 1"):
        assert replaced(text), text
    assert replaced("Trailers are expressed and amended; indoor, trailing, journalctl, it stands in for it") == []
