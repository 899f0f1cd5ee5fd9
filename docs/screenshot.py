"""Takes the picture of the demo in README.md: a person has signed in, and Twilio has received the confirmation.

`make screenshot` runs it. It starts `otp-service demo`, signs in with the machine's Chromium and saves the page to
`docs/images/demo.png`, or to the file that is its argument. Without an argument it then takes the picture of the
dashboard in docs/reports.md, with the traffic of `--traffic`.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.free_ports import free_port
from tests.pages.conftest import FLAGS, ROOT, chromium

_NUMBER = "+1 415 555 0123"  # reserved for fiction
_PICTURES = ROOT / "docs" / "images"
_WIDTH, _HEIGHT = 1220, 820
_KEY = re.compile(r"otp_sk_\S+")
_CODE = re.compile(r"\b\d{6}\b")
_PATIENCE_MS = 20_000  # a busy machine may be slow


def main() -> None:
    """Start the demo, sign in and save what the page shows."""
    expect.set_options(timeout=_PATIENCE_MS)
    with demo() as (page, url, _):
        page.goto(url)
        sign_in(page)
        save(page, Path(sys.argv[1]) if sys.argv[1:] else _PICTURES / "demo.png")
    if not sys.argv[1:]:
        with demo("--traffic") as (page, url, key):
            page.goto(f"{url}dashboard?tz=UTC")
            page.get_by_label("API key").fill(key)
            page.get_by_role("button", name="Sign in").click()
            expect(page.get_by_text("Live, ")).to_be_visible()
            save(page, _PICTURES / "dashboard.png")


@contextmanager
def demo(*options: str) -> Iterator[tuple[Page, str, str]]:
    """Start the demo and a browser; yield an empty page, the address of the demo and its API key."""
    port = free_port()
    command = [sys.executable, "-m", "service", "demo", "--port", str(port), *options]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        # The API key is printed once the demo is ready.
        key = next(found[0] for line in process.stdout or () if (found := _KEY.search(line)))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
            yield browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT}), f"http://127.0.0.1:{port}/", key
            browser.close()
    finally:
        process.terminate()
        process.communicate(timeout=20)


def save(page: Page, picture: Path) -> None:
    """Save what a page shows."""
    picture.parent.mkdir(exist_ok=True)
    page.screenshot(path=picture)


def sign_in(page: Page) -> None:
    """Ask for a code, type the one that arrives on the phone, and wait until the message is confirmed."""
    page.get_by_label("Your phone number").fill(_NUMBER)
    page.get_by_role("button", name="Send me a code").click()
    message = page.frame_locator("iframe").get_by_text("code is").last
    expect(message).to_be_visible()
    done(page, "delivered")
    [code] = _CODE.findall(message.inner_text())
    page.get_by_label("The code from the message").fill(code)
    expect(page.get_by_role("heading", name="You are signed in")).to_be_visible()
    done(page, "confirmed")
    expect(page.frame_locator("iframe").get_by_text("Twilio was told: confirmed")).to_be_visible()


def done(page: Page, step: str) -> None:
    """Wait until a step of the loop is shown as done."""
    expect(page.locator(f'[data-step="{step}"]')).to_have_attribute("data-state", "done")


if __name__ == "__main__":
    main()
