"""The promises of the house: tests say what they promise, modules say what they are for, and everything stays small."""

import ast
import re
from pathlib import Path

import pytest

from tests.absent import absent
from tests.documents import PAGES

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "service").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
SCRIPTS = sorted((ROOT / "service" / "store" / "lua").glob("*.lua"))
MOST_MODULE_LINES = 250
MOST_FUNCTION_LINES = 60

# Modules that may be longer, each with its reason. The number is the most that it may have.
LONG_MODULES = {
    "embedded/keeper.py": (325, "runs alone, from its file and without site-packages: it cannot be divided"),
}
# Tests that are skipped even in CI, one in each file, each with its reason.
SKIPPING = {
    "tests/absent.py": "skips outside of CI only",
    "tests/embedded/test_embedded.py": "a promise that only Linux can keep",
    "tests/cli/test_commands.py": "reads /proc, which only Linux has",
    "tests/logs/test_writer.py": "/dev/full, which only Linux has",
    "tests/test_deploy.py": "systemd-analyze: a container may have no systemd",
}
FORBIDDEN_NAMES = re.compile(r"(^|_)(utils?|helpers?|managers?|common|misc)(_|$)")


def functions(path):
    """List the functions of a file, nested ones too."""
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    return [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def name_of(path):
    """Name a file as the reader knows it."""
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_every_test_states_its_promise_in_a_sentence(path):
    """Each test function has a docstring that is a sentence: some words and a full stop."""
    silent = [
        function.name
        for function in functions(path)
        if function.name.startswith("test_") and not re.fullmatch(r"(?s).{20,}[.!?]", ast.get_docstring(function) or "")
    ]
    assert silent == []


def test_tests_are_found():
    """The checks of this file see the tests, the modules and the scripts that there are."""
    assert Path(__file__) in TESTS
    assert len(MODULES) > 40
    assert len(SCRIPTS) > 10


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_says_what_it_is_for(path):
    """A module of the service opens with a docstring that is a sentence."""
    text = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    assert text
    assert re.search(r"[.:]$", text.splitlines()[0]), text.splitlines()[0]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_and_functions_stay_small(path):
    """No module has over 250 lines without a reason, and no function over 60."""
    name = path.relative_to(ROOT / "service").as_posix()
    most, _ = LONG_MODULES.get(name, (MOST_MODULE_LINES, ""))
    assert len(path.read_text("utf-8").splitlines()) <= most
    long = [
        function.name
        for function in functions(path)
        if (function.end_lineno or 0) - function.lineno + 1 > MOST_FUNCTION_LINES
    ]
    assert long == []


def test_no_reason_outlives_its_module():
    """Every module on the list of long ones exists and is long."""
    for name in LONG_MODULES:
        assert len((ROOT / "service" / name).read_text("utf-8").splitlines()) > MOST_MODULE_LINES, name


def test_what_is_skipped_would_fail_in_ci():
    """A test without the program that it needs ends by `absent`; what skips in CI too is on a list with its reason."""
    skipping = re.compile(r"\bpytest\.(?:skip|importorskip|mark\.skip|mark\.skipif)\b")
    files = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]
    found = {name_of(path): len(skipping.findall(path.read_text("utf-8"))) for path in files}
    assert {name: count for name, count in found.items() if count} == dict.fromkeys(SKIPPING, 1)


@pytest.mark.parametrize(("ci", "end"), [("true", pytest.fail.Exception), (None, pytest.skip.Exception)])
def test_a_missing_program_fails_in_ci_only(monkeypatch, ci, end):
    """Where CI=true a missing program is a failure, elsewhere a skip; both say what is missing."""
    monkeypatch.delenv("CI", raising=False)
    if ci:
        monkeypatch.setenv("CI", ci)
    with pytest.raises(end, match="there is no abacus here"):
        absent("there is no abacus here")


def test_nothing_is_called_a_helper():
    """No module, class or function has a name that says nothing: utils, helper, manager, common, misc."""
    nameless = []
    for path in MODULES:
        nodes = ast.walk(ast.parse(path.read_text("utf-8")))
        named = [node.name for node in nodes if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)]
        words = [path.stem, *(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower() for name in named)]
        nameless += [f"{name_of(path)}: {word}" for word in words if FORBIDDEN_NAMES.search(word)]
    assert nameless == []


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_every_script_describes_itself(path):
    """A Lua script opens with `#!lua` and names in its header the keys, arguments and answer it has."""
    text = path.read_text("utf-8")
    if text.startswith("-- Included"):
        assert "KEYS[" not in text, "what is included gets its keys from the script that includes it"
        return
    assert re.match(r"#!lua( flags=[a-z,-]+)?\n-- [A-Z].*[.:]\n", text)
    header = re.match(r"#!lua.*\n((?:--.*\n)+)", text)[1]
    assert re.search(r"^-- KEYS   1 ", header, re.MULTILINE)
    assert re.search(r"^-- answer ", header, re.MULTILINE)
    assert ("ARGV[" in text) == ("-- ARGV   1 " in header)
    used = {int(number) for number in re.findall(r"KEYS\[(\d+)\]", text)}
    assert used or "ipairs(KEYS)" in text, "a script that takes no key belongs to no slot"
    assert used == set(range(1, len(used) + 1))
    described = re.search(r"^-- KEYS(?:[^\n]*)(?:\n--        .*)*", header, re.MULTILINE)[0]
    assert {int(number) for number in re.findall(r"(?<=   )(\d+)(?= )", described)} >= used


def test_the_text_of_the_house_is_of_the_house():
    """No source, test or document holds a path of somebody's machine or a leftover TODO."""
    foreign = re.compile(r"/(?:home|Users|work|root)/\w|\b(?:TODO|FIXME|XXX)\b")
    documents = [*PAGES, *(ROOT / name for name in (".env.example", "Makefile", "pyproject.toml"))]
    found = [
        f"{name_of(path)}:{number}"
        for path in [*MODULES, *TESTS, *SCRIPTS, *(path for path in documents if path.exists())]
        if path != Path(__file__)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if foreign.search(line)
    ]
    assert found == []
