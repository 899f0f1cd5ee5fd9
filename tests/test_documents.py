"""The documents are consistent: the things that they name exist, and their links work."""

import re
import shlex
import shutil
import subprocess
from urllib.parse import unquote

import pytest
from typer.testing import CliRunner

import service
from service.cli import app as cli
from service.config.settings import load_settings, missing_secrets, missing_to_serve
from service.core.api_keys import Scope
from service.core.verification import Delivery, Feedback, Status, Verdict
from tests.documents import PAGES, README, ROOT, anchors, blocks, name_of

IN_CODE = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"(?:service|deploy|docs|tests)/[\w./-]*|\.ci/\w+|\.env\.example|[\w-]+\.(?:md|toml|yml)")
COMMAND = re.compile(r"otp-service (?!…)([a-z][^`#\n|)]*)")


def is_command(text):
    """Return whether a text is a command of ours with existing options; values may be missing, as in a sentence."""
    words = shlex.split(text.strip(" ,;:."))
    first = next((place for place, word in enumerate(words) if word.startswith("-")), len(words))
    result = CliRunner().invoke(cli, [*words[:first], "--help"], env={"COLUMNS": "200"})
    return result.exit_code == 0 and all(word in result.output for word in words if word.startswith("-"))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_has_a_target(page):
    """A link to a file of the project names an existing file, and an existing heading in it."""
    text = page.read_text("utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$|<img src=\"([^\"]+)\"", text, re.MULTILINE)
    broken = []
    for link in map("".join, links):
        path, _, anchor = unquote(link).partition("#")
        if path.startswith(("http://", "https://")):
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_page_is_linked_from_the_readme():
    """The README links to every page."""
    linked = {(ROOT / link).resolve() for link in re.findall(r"\]\(([^)#\s]+)\)", README.read_text("utf-8"))}
    assert [name_of(page) for page in PAGES if page != README and page not in linked] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_a_page_names_exists(page):
    """A path in backticks names an existing file or folder."""
    named = [code for code in IN_CODE.findall(page.read_text("utf-8")) if FILE.fullmatch(code)]
    assert [name for name in named if not any((base / name).exists() for base in (ROOT, page.parent))] == []


def test_every_file_that_the_tour_names_exists():
    """The docstring of `service` names existing files and folders of the package."""
    named = re.findall(r"`([\w/]+(?:/|\.py|\.lua))`", service.__doc__)
    assert len(named) > 15
    assert [name for name in named if not (ROOT / "service" / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_target_that_a_page_names_exists(page):
    """`make …` in a code span or code block names a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    code = "\n".join([*IN_CODE.findall(page.read_text("utf-8")), *blocks(page, "sh")])
    for target in set(re.findall(r"(?:^|&& )make ([a-z-]+)\b", code, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_that_a_page_names_exists(page):
    """`otp-service …` in a code span or code block is a command with existing options."""
    code = "\n".join([*IN_CODE.findall(page.read_text("utf-8")), *blocks(page, "sh")])
    assert [command for command in COMMAND.findall(code) if not is_command(command)] == []


def test_a_command_that_does_not_exist_would_be_noticed():
    """An unknown command and an unknown option are found in a text and refused."""
    for text in ("`otp-service sreve`", "`otp-service serve --wrokers 2`", "`otp-service keys make x`"):
        [command] = COMMAND.findall(text)
        assert not is_command(command)
    assert is_command("keys create NEW --owner OLD")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_can_be_pasted_into_any_shell(page):
    """No command contains a comment: zsh, the shell of macOS, treats a comment typed at the prompt as arguments."""
    assert [line for block in blocks(page, "sh") for line in block.splitlines() if re.search(r"(^|\s)#", line)] == []


# Where a page lists the values of an enum: in a table under this heading, or in this row of the glossary.
LISTED = (
    (ROOT / "docs" / "message-feedback.md", r"^\| `feedback` \| .*\n\|[-|]+\|\n((?:\|.*\n)+)", Feedback),
    (README, r"^\| verdict \| .*\n\|[-|]+\|\n((?:\|.*\n)+)", Verdict),
    (ROOT / "docs" / "architecture.md", r"^\| feedback \|(.*\|)$", Feedback),
    (ROOT / "docs" / "architecture.md", r"^\| verdict \|(.*\|)$", Verdict),
    (ROOT / "docs" / "architecture.md", r"^\| delivery status \|(.*\|)$", Delivery),
    (ROOT / "docs" / "architecture.md", r"^\| status \|(.*\|)$", Status),
)


@pytest.mark.parametrize(("page", "place", "values"), LISTED, ids=lambda part: getattr(part, "__name__", ""))
def test_lists_of_values_match_the_api(page, place, values):
    """A list of feedback values, verdicts, statuses or delivery statuses names exactly the values of the API."""
    [listed] = re.findall(place, page.read_text("utf-8"), re.MULTILINE)
    # A table has the values in its first column; a row of the glossary has nothing else in backticks.
    columns = re.findall(r"^\|([^|]*)\|", listed, re.MULTILINE) or [listed]
    assert sorted(IN_CODE.findall(" ".join(columns))) == sorted(values)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_retry_of_confirmations_names_what_to_retry(page):
    """`outbox retry` without arguments is refused, so each mention has a SID or --all."""
    mentions = re.findall(r"outbox retry\b(.*?)`", page.read_text("utf-8"))
    assert [rest for rest in mentions if not re.fullmatch(r" (--all|SM…)", rest)] == []


def test_the_scopes_are_listed():
    """The page of the commands explains each scope of an API key."""
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    listed = re.search(r"^\| scope \| .*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert listed is not None
    assert sorted(re.findall(r"^\| `(\w+)`", listed[1], re.MULTILINE)) == sorted(Scope)


def test_the_manual_installation_works_as_printed(tmp_path, monkeypatch):
    """The commands up to `check` write secrets that the service reads; then only Twilio's values are missing."""
    page = ROOT / "docs" / "production.md"
    text = page.read_text("utf-8")
    text = text[text.index("### By hand") : text.index("## 3.")]
    prepare, start = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    shutil.copy(ROOT / ".env.example", tmp_path)
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy", ignore=shutil.ignore_patterns("secrets"))
    install, *steps = prepare.splitlines()
    assert install == "make install-service"
    assert start.startswith(".venv/bin/otp-service check\n")
    for step in steps:
        subprocess.run(["sh", "-c", step], cwd=tmp_path, check=True, capture_output=True, timeout=30)
    [folder] = re.findall(r"`OTP_SECRETS_DIR=(\w+)`", text)
    env = tmp_path / ".env"
    env.write_text(env.read_text("utf-8").replace("OTP_SECRETS_DIR=\n", f"OTP_SECRETS_DIR={folder}\n"), "utf-8")
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    assert missing_secrets(settings) == []
    assert settings.redis_url is None
    assert all("TWILIO_" in sentence for sentence in missing_to_serve(settings))
    assert (tmp_path / folder).stat().st_mode & 0o777 == 0o700


def test_every_test_that_a_document_names_exists():
    """A test that a document gives as evidence is in the file that it names."""
    named = {
        found
        for page in (ROOT / "docs").glob("*.md")
        for found in re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", page.read_text("utf-8"))
    }
    assert len(named) >= 15
    assert [each for each in sorted(named) if f"def {each[1]}(" not in (ROOT / each[0]).read_text("utf-8")] == []
