"""Takes the picture of the demo in README.md: a person has signed in, and Twilio has received the confirmation.

`make screenshot` runs it. It starts `otp-service demo`, signs in with the machine's Chromium and saves the page to
`docs/images/demo.png`, or to the file that is its argument.
"""

import re
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.free_ports import free_port
from tests.pages.conftest import FLAGS, ROOT, chromium

_NUMBER = "+1 415 555 0123"  # reserved for fiction
_PICTURE = ROOT / "docs" / "images" / "demo.png"
_WIDTH, _HEIGHT = 1220, 820
_CODE = re.compile(r"\b\d{6}\b")
_PATIENCE_MS = 20_000  # a busy machine may be slow


def main() -> None:
    """Start the demo, sign in and save what the page shows."""
    expect.set_options(timeout=_PATIENCE_MS)
    picture = Path(sys.argv[1]) if sys.argv[1:] else _PICTURE
    port = free_port()
    command = [sys.executable, "-m", "service", "demo", "--port", str(port)]
    demo = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        next(line for line in demo.stdout or () if "otp_sk_" in line)  # the API key is printed once the demo is ready
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
            page = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT})
            page.goto(f"http://127.0.0.1:{port}/")
            sign_in(page)
            picture.parent.mkdir(exist_ok=True)
            page.screenshot(path=picture)
            browser.close()
    finally:
        demo.terminate()
        demo.communicate(timeout=20)


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
