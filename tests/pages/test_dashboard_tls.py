"""The dashboard over TLS in a real browser: where it can be reached, how its cookie is kept, and where no key is taken.

The service runs behind the real nginx with its example, and with the server of docs/reports.md, which lets the
dashboard in on a name of its own. The browser resolves both names to this machine.
"""

import re
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import async_playwright, expect

from tests.free_ports import free_port
from tests.pages.conftest import FLAGS, PATIENCE_MS, chromium
from tests.proxies import new_proxy, proxy_before

pytestmark = pytest.mark.slow
PUBLIC, INSIDE = "otp.example.com", "otp.internal.example"
DOCUMENT = Path(__file__).parents[2] / "docs" / "reports.md"


def inside_server(port, folder):
    """Read the server for the dashboard from docs/reports.md, with the port and the certificate of a test."""
    [server] = re.findall(r"```nginx\n(.+?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    for pattern, new in {
        r"listen \S+ ssl;": f"listen 127.0.0.1:{port} ssl;",
        r"/\S+/fullchain\.pem": f"{folder}/cert.pem",
        r"/\S+/privkey\.pem": f"{folder}/key.pem",
        r"http://127\.0\.0\.1:8000": "http://otp_service",
    }.items():
        server, count = re.subn(pattern, new, server)
        assert count == 1, pattern
    return server


@asynccontextmanager
async def open_page():
    """Open a page of a new browser that finds both names on this machine, and takes a certificate made by a test."""
    names = f"--host-resolver-rules=MAP {PUBLIC} 127.0.0.1, MAP {INSIDE} 127.0.0.1"
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=[*FLAGS, names])
        context = await browser.new_context(ignore_https_errors=True)
        yield await context.new_page()
        await browser.close()


async def sign_in(page, key):
    """Type the key, and wait for the page of an operator."""
    await page.get_by_label("API key").fill(key)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()


async def test_the_dashboard_over_tls(start, tmp_path):
    """Over TLS a `__Host-` cookie holds the session; the public name has no dashboard; plain http takes no key.

    Only localhost may sign in without TLS, with a cookie of another name.
    """
    proxy, inside = new_proxy("nginx"), free_port()
    service = await start(otp_trusted_proxies=1, otp_public_url=proxy.public)
    port = int(service.url.rpartition(":")[2])
    with proxy_before(port, proxy, tmp_path, inside_server(inside, tmp_path)):
        async with open_page() as page:
            response = await page.goto(f"https://{PUBLIC}:{proxy.public_port}/dashboard")
            assert response.status == 404

            await page.goto(f"https://{INSIDE}:{inside}/dashboard")
            await sign_in(page, service.key)
            [cookie] = await page.context.cookies()
            kept = {name: cookie[name] for name in ("name", "domain", "path", "secure", "httpOnly", "sameSite")}
            assert kept == {
                "name": f"__Host-otp_dashboard_{inside}", "domain": INSIDE, "path": "/",
                "secure": True, "httpOnly": True, "sameSite": "Lax",
            }  # fmt: skip
            assert await page.evaluate("document.cookie") == ""
            await page.reload()
            await page.get_by_label("Release a number").fill("+1 415 555 0142")
            await page.get_by_role("button", name="Release", exact=True).click()
            await expect(page.locator("#said")).to_contain_text("Nothing is stored about this number")
            await page.get_by_role("button", name="Sign out").click()
            await expect(page.get_by_role("alert")).to_have_text("You are signed out.")
            assert await page.context.cookies() == []

            await page.goto(f"http://{INSIDE}:{port}/dashboard")
            await expect(page.get_by_role("alert")).to_contain_text("This address is not encrypted")
            await expect(page.get_by_label("API key")).to_have_count(0)

            await page.goto(f"http://localhost:{port}/dashboard")
            await sign_in(page, service.key)
            [cookie] = await page.context.cookies()
            assert (cookie["name"], cookie["domain"]) == (f"otp_dashboard_local_{port}", "localhost")
