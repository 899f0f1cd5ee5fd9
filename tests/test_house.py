"""The house rules: tests state their promises, modules state their purpose, and files and functions stay small."""

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

# Files with a test that is skipped even in CI, one each, with the reason.
SKIPPING = {
    "tests/absent.py": "skips outside of CI only",
    "tests/embedded/test_embedded.py": "a promise that only Linux can keep",
    "tests/cli/test_commands.py": "reads /proc, which only Linux has",
    "tests/logs/test_writer.py": "/dev/full, which only Linux has",
    "tests/failover/test_soak.py": "an hour's run, for make soak only",
    "tests/test_deploy.py": "systemd-analyze: a container may have no systemd",
}
FORBIDDEN_NAMES = re.compile(r"(^|_)(utils?|helpers?|managers?|common|misc)(_|$)")


def functions(path):
    """Return the functions of a file, including nested ones."""
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    return [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def name_of(path):
    """Return a path relative to the project."""
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_every_test_states_its_promise_in_a_sentence(path):
    """The docstring of each test is a sentence: at least 20 characters and a full stop."""
    silent = [
        function.name
        for function in functions(path)
        if function.name.startswith("test_") and not re.fullmatch(r"(?s).{20,}[.!?]", ast.get_docstring(function) or "")
    ]
    assert silent == []


def test_tests_are_found():
    """The checks of this file find the tests, modules and scripts."""
    assert Path(__file__) in TESTS
    assert len(MODULES) > 40
    assert len(SCRIPTS) > 10


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_states_its_purpose(path):
    """The docstring of each module of the service starts with a sentence."""
    text = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    assert text
    assert re.search(r"[.:]$", text.splitlines()[0]), text.splitlines()[0]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_and_functions_stay_small(path):
    """No module has more than 250 lines, and no function more than 60."""
    assert len(path.read_text("utf-8").splitlines()) <= MOST_MODULE_LINES
    long = [
        function.name
        for function in functions(path)
        if (function.end_lineno or 0) - function.lineno + 1 > MOST_FUNCTION_LINES
    ]
    assert long == []


def test_only_listed_tests_are_skipped_in_ci():
    """Tests that lack a program end by `absent`; those that are skipped in CI, too, are listed with a reason."""
    skipping = re.compile(r"\bpytest\.(?:skip|importorskip|mark\.skip|mark\.skipif)\b")
    files = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]
    found = {name_of(path): len(skipping.findall(path.read_text("utf-8"))) for path in files}
    assert {name: count for name, count in found.items() if count} == dict.fromkeys(SKIPPING, 1)


@pytest.mark.parametrize(("ci", "end"), [("true", pytest.fail.Exception), (None, pytest.skip.Exception)])
def test_a_missing_program_fails_in_ci_only(monkeypatch, ci, end):
    """A missing program fails the test where CI=true and skips it elsewhere; both name what is missing."""
    monkeypatch.delenv("CI", raising=False)
    if ci:
        monkeypatch.setenv("CI", ci)
    with pytest.raises(end, match="there is no abacus here"):
        absent("there is no abacus here")


def test_no_name_is_meaningless():
    """No module, class or function has an empty name: utils, helper, manager, common, misc."""
    nameless = []
    for path in MODULES:
        nodes = ast.walk(ast.parse(path.read_text("utf-8")))
        named = [node.name for node in nodes if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)]
        words = [path.stem, *(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower() for name in named)]
        nameless += [f"{name_of(path)}: {word}" for word in words if FORBIDDEN_NAMES.search(word)]
    assert nameless == []


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_every_script_documents_its_interface(path):
    """A Lua script starts with `#!lua`, and its header documents its keys, arguments and answer."""
    text = path.read_text("utf-8")
    if text.startswith("-- Included"):
        assert "KEYS[" not in text, "an included script gets its keys from the script that includes it"
        return
    assert re.match(r"#!lua( flags=[a-z,-]+)?\n-- [A-Z].*[.:]\n", text)
    header = re.match(r"#!lua.*\n((?:--.*\n)+)", text)[1]
    assert re.search(r"^-- KEYS   1 ", header, re.MULTILINE)
    assert re.search(r"^-- answer ", header, re.MULTILINE)
    assert ("ARGV[" in text) == ("-- ARGV   1 " in header)
    used = {int(number) for number in re.findall(r"KEYS\[(\d+)\]", text)}
    assert used or "ipairs(KEYS)" in text, "a script without a key belongs to no slot"
    assert used == set(range(1, len(used) + 1))
    described = re.search(r"^-- KEYS(?:[^\n]*)(?:\n--        .*)*", header, re.MULTILINE)[0]
    assert {int(number) for number in re.findall(r"(?<=   )(\d+)(?= )", described)} >= used


def test_no_local_paths_or_todos():
    """No source, test or document contains a path of a developer's machine or a leftover TODO."""
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
