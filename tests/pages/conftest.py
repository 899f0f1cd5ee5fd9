"""Fixtures of the page tests: a real Chromium, a page that fails on any error, and a demo.

Tests here are plain functions, and their service is another process: while the browser is open, its driver uses the
event loop of this thread, so `start` and async tests cannot run at the same time. For the same reason the browser ends
with the test file and not with the run.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import expect, sync_playwright

from tests.absent import absent
from tests.free_ports import free_port
from tests.pages.person import Person
from tests.pages.visitor import Visitor

ROOT = Path(__file__).parents[2]
# The shell first: it opens no browser window, which takes four fifths of the CPU of a page.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
# It must send no requests of its own; without --no-sandbox it does not start as root.
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE_MS = 30_000  # for a busy machine: what a page shows at all it shows at once
KEY = re.compile(r"otp_sk_\S+")


def chromium():
    """Return the machine's Chromium: `OTP_TEST_CHROMIUM`, else one of its usual names."""
    found = os.environ.get("OTP_TEST_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        absent(f"there is no Chromium here: none of {', '.join(NAMES)} is in PATH, and OTP_TEST_CHROMIUM names none")
    return found


@pytest.fixture(scope="module")
def browser():
    """Run a headless Chromium for the tests of one file."""
    executable = chromium()
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def complaints():
    """Collect the page's errors; a test that causes one checks it and clears the list."""
    return []


@pytest.fixture
def page(browser, complaints):
    """Open an empty page, 1280 wide; on closing, fail if there was an error, a policy violation or a foreign host."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    opened = context.new_page()
    # Chromium logs a violation of the content security policy, and a 4xx response, to the console as an error.
    opened.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda request: is_foreign(request.url) and complaints.append(f"asked {request.url}"))
    yield opened
    context.close()
    assert complaints == []


def is_foreign(url):
    """Return whether a request leaves this machine."""
    parts = urlsplit(url)
    return parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1"


@dataclass(frozen=True)
class Demo:
    """A demo in its own process."""

    url: str
    key: str
    lines: list[str]  # its output so far


@pytest.fixture(scope="module")
def demo():
    """Serve `otp-service demo` for one file, so that files need not share numbers.

    It has completed its own sign-in before the first test.
    """
    with running_demo() as running:
        yield running


@pytest.fixture
def person(page, demo):
    """Issue a verification, and open a page for it."""
    requests.delete(f"{demo.url}/sandbox/_/faults", timeout=30)
    return Person(page, demo)


@pytest.fixture
def visitor(page, demo):
    """Open the login page without planned faults."""
    requests.delete(f"{demo.url}/sandbox/_/faults", timeout=30)
    return Visitor(page, demo.url).open()


@contextmanager
def running_demo(*options):
    """Serve `otp-service demo` with these options."""
    port = free_port()
    command = [sys.executable, "-m", "service", "demo", "--port", str(port), *options]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines, said_its_key = [], threading.Event()

    def listen():
        for line in process.stdout:
            lines.append(line.rstrip())
            if KEY.search(line):
                said_its_key.set()
        said_its_key.set()  # or it has ended

    listener = threading.Thread(target=listen)
    listener.start()
    try:
        said_its_key.wait(30)
        key = KEY.search("\n".join(lines))
        assert key, lines
        yield Demo(f"http://127.0.0.1:{port}", key[0], lines)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
        listener.join()
        process.stdout.close()
