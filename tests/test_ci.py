"""The promises of the hosted CI and of pre-commit: they run what everybody runs, and no code that may change unseen."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_ci_runs_the_same_script_on_every_supported_python():
    """The matrix has each minor version from `requires-python` on, and its last step is `.ci/run`."""
    job = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))["jobs"]["test"]
    minors = [int(version.removeprefix("3.")) for version in job["strategy"]["matrix"]["python"]]
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["requires-python"]
    assert oldest == f">=3.{minors[0]}"
    assert minors == list(range(minors[0], minors[0] + len(minors)))
    assert f"CPython 3.{minors[0]} to 3.{minors[-1]}" in (ROOT / "Makefile").read_text("utf-8")
    assert job["steps"][-1] == {"run": ".ci/run"}


def test_actions_of_others_are_pinned_and_may_only_read():
    """Each action is named by the hash of its commit, and no workflow may write to the repository."""
    assert WORKFLOWS
    for path in WORKFLOWS:
        text = path.read_text("utf-8")
        assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
        for action in re.findall(r"uses: (\S+)", text):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action


def test_pre_commit_runs_the_linters_of_this_project():
    """Its hooks fetch nothing: each is a target of the Makefile, with the tools at the versions of uv.lock."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    [repository] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        make, target = hook["entry"].split()
        assert make == "make"
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
