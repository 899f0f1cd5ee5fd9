"""The promises of CI: it runs what developers run, pins third-party code, and its scripts report what they left out."""

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_ci_runs_the_same_script_on_every_supported_python():
    """The matrix has every minor version that `requires-python` allows, and the last step runs `.ci/run`."""
    job = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))["jobs"]["test"]
    minors = [int(version.removeprefix("3.")) for version in job["strategy"]["matrix"]["python"]]
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["requires-python"]
    assert oldest == f">=3.{minors[0]}"
    assert minors == list(range(minors[0], minors[0] + len(minors)))
    assert f"CPython 3.{minors[0]} to 3.{minors[-1]}" in (ROOT / "Makefile").read_text("utf-8")
    assert job["steps"][-1] == {"run": ".ci/run"}


def test_third_party_actions_are_pinned_and_have_read_access_only():
    """Each action is pinned by commit hash, and no workflow has write access to the repository."""
    assert WORKFLOWS
    for path in WORKFLOWS:
        text = path.read_text("utf-8")
        assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
        for action in re.findall(r"uses: (\S+)", text):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action


def lint(folder):
    """Lint the workflows of a folder: zizmor looks for what is unsafe, check-jsonschema for what GitHub cannot read."""
    files = sorted(map(str, folder.glob("*.yml")))
    bin_folder = Path(sys.executable).parent
    unsafe = [bin_folder / "zizmor", "--offline", "--no-progress", "--quiet", *files]
    unreadable = [bin_folder / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *files]
    return [subprocess.run(command, check=False, capture_output=True, text=True) for command in (unsafe, unreadable)]


def test_linters_find_nothing_in_the_workflows(tmp_path):
    """Neither linter finds anything in the workflows; each finds the fault that is put into a copy."""
    for found in lint(ROOT / ".github" / "workflows"):
        assert found.returncode == 0, found.stdout + found.stderr
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8")
    for fault in (
        ("@ea165f8d65b6e75b540449e92b4886f43607fa02", "@v4"),
        ("timeout-minutes:", "timeout-minuets:"),
    ):
        (tmp_path / "faulty.yml").write_text(text.replace(*fault), "utf-8")
        assert any(found.returncode for found in lint(tmp_path)), fault


def test_a_release_publishes_what_it_says():
    """Wheel and sdist go to PyPI without a stored token; the image is for both platforms, with SBOM and provenance."""
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8"))["jobs"]
    assert jobs["pypi"]["permissions"] == {"id-token": "write"}
    assert "password" not in str(jobs["pypi"])
    image = jobs["image"]["steps"][-1]["with"]
    assert (image["platforms"], image["sbom"], image["provenance"]) == ("linux/amd64,linux/arm64", True, "mode=max")
    assert (ROOT / image["file"]).is_file()
    makefile = (ROOT / "Makefile").read_text("utf-8")
    [version] = re.findall(r"uv==([\d.]+)", str(jobs["build"]))
    assert f"UV_VERSION := {version}" in makefile


def test_pre_commit_runs_the_linters_of_this_project():
    """The hooks fetch nothing: each runs a target of the Makefile, with the versions of uv.lock."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    [repository] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        make, target = hook["entry"].split()
        assert make == "make"
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def check_of(name):
    """Return the function of a script in `.ci/` that evaluates a run: it returns (exit status, lines)."""
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script.check


CLEAN = {"name": "sound", "version": "1.0", "vulns": []}
BAD = {"name": "broken", "version": "2.0", "vulns": [{"id": "CVE-2026-1", "fix_versions": ["2.1"]}]}
SKIPPED = {"name": "unknown", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "status", "expected"),
    [
        ([CLEAN], 0, [[]]),
        ([CLEAN, BAD], 1, [["broken 2.0", "CVE-2026-1", "2.1"]]),
        ([CLEAN, SKIPPED], 0, [["NOT AUDITED"]]),
        ([SKIPPED, BAD], 1, [["broken"], ["NOT AUDITED"]]),
    ],
)
def test_an_audit_fails_for_a_finding_and_reports_unaudited_packages(packages, status, expected):
    """A vulnerability fails the run and is named with its fix; packages without advisories count as not audited."""
    ended, lines = check_of("audit")(json.dumps({"dependencies": packages}), "")
    assert (ended, len(lines)) == (status, len(expected))
    assert all(word in line for line, words in zip(lines, expected, strict=True) for word in words)


@pytest.mark.parametrize(
    ("complaints", "status"),
    [("…\nrequests.exceptions.ConnectionError: Max retries exceeded", 0), ("…\nKeyError: 'info'", 1), ("", 1)],
)
def test_an_audit_without_a_report_fails_unless_the_network_is_unreachable(complaints, status):
    """A missing report fails the run, unless the network was unreachable; the run then says NOT AUDITED."""
    ended, lines = check_of("audit")("", complaints)
    assert (ended, lines[0].startswith("NOT AUDITED")) == (status, status == 0)


MODULES = ["service/core/actions/code.py", "service/http/authentication.py"]
SURVIVED, CAUGHT, UNTRIED = 0, 1, None
RAN, RAN_OUT_OF_TIME = 0, 124


@pytest.fixture
def mutants(tmp_path):
    """Return a function that writes mutmut's results for each module and returns the outcome of the run."""

    def check(ended, *codes_of_modules):
        for module, codes in zip(MODULES, codes_of_modules, strict=False):
            meta = tmp_path / f"{module}.meta"
            meta.parent.mkdir(parents=True, exist_ok=True)
            meta.write_text(json.dumps({"exit_code_by_key": {f"mutant_{n}": code for n, code in enumerate(codes)}}))
        return check_of("mutants")(ended, tmp_path, MODULES)

    return check


@pytest.mark.parametrize("ended", [RAN, RAN_OUT_OF_TIME])
def test_every_module_must_catch_nine_of_ten_mutants(mutants, ended):
    """A module passes with one survivor in ten and fails with two; an untried mutant counts as a survivor."""
    assert mutants(ended, [*[CAUGHT] * 9, SURVIVED], [CAUGHT] * 10)[0] == 0
    status, lines = mutants(ended, [CAUGHT] * 10, [*[CAUGHT] * 8, SURVIVED, UNTRIED])
    assert (status, "mutant_8" in "".join(lines)) == (1, True)


def test_a_module_without_mutants_fails_by_name(mutants):
    """A module that mutmut skipped, or that has no mutant, fails the run and is named."""
    for codes in ([], [[CAUGHT]], [[CAUGHT], []]):
        status, lines = mutants(RAN, *codes)
        assert (status, MODULES[1] in lines[-1]) == (1, True)
    assert check_of("mutants")(RAN, Path(), [])[0] == 1


@pytest.mark.parametrize("ended", [1, 2, 125, 137])
def test_a_failing_mutmut_fails_the_run(mutants, ended):
    """If mutmut fails, the results of an earlier run do not count; only the exit status of `timeout` is accepted."""
    assert mutants(ended, [CAUGHT], [CAUGHT])[0] == 1
