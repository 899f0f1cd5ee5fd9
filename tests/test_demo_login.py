"""The promises of the demo's login: which requests it accepts, and which cookies it sets and trusts."""

import asyncio
import re
import time
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest

from service.core.actions import ACTIONS
from service.core.texts import LOCALES
from service.demo import login, stage
from service.demo.login import LoginSite
from tests.test_demo import free_port

NUMBER = "+14155550177"
FORM = "application/x-www-form-urlencoded"


class Browser:
    """A browser on one page of the demo; the test sends its cookies."""

    def __init__(self, url):
        self.url = url
        self._headers = {"Content-Type": "application/json", "Origin": url, "Sec-Fetch-Site": "same-origin"}
        self._client = aiohttp.ClientSession(url, cookie_jar=aiohttp.DummyCookieJar())

    async def status(self, path="/demo/login", data="[]", *, method="POST", **headers):
        """Send a request and return the status. Keyword arguments replace headers (`_` for `-`); None removes one."""
        changed = {**self._headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        kept = {name: value for name, value in changed.items() if value is not None}
        async with self._client.request(
            method, path, data=data, headers=kept, skip_auto_headers=["Content-Type"]
        ) as response:
            return response.status

    async def post(self, path, content, **headers):
        """Post as the page does; return status, body and the Set-Cookie headers."""
        async with self._client.post(path, json=content, headers={**self._headers, **headers}) as response:
            return response.status, await response.json(), response.headers.getall("Set-Cookie", [])

    async def who(self, cookie=None):
        """Ask who is signed in, with this cookie instead of the browser's own."""
        headers = {} if cookie is None else {"Cookie": cookie}
        async with aiohttp.request("GET", f"{self.url}/demo/session", headers=headers) as response:
            return response.status, (await response.json())["as"]

    async def begin(self, to=NUMBER, key=None, action="code", **headers):
        """Request a code, a password or a link; return the verification and the login cookie."""
        headers |= {"Idempotency-Key": key} if key else {}
        status, verification, [cookie] = await self.post("/demo/login", {"to": to, "action": action}, **headers)
        assert status == 201, verification
        return verification, cookie

    async def text_to(self, to):
        """Read the newest message to a number."""
        async with self._client.get("/sandbox/_/messages") as response:
            return [row["body"] for row in await response.json() if row["to"] == to][-1]

    async def approve(self, verification):
        """Type what was sent, here or, for a link, on its own page."""
        action = verification["action"]
        [secret] = ACTIONS[action].found_in(await self.text_to(verification["to"]))
        if action == "link":
            async with self._client.post(f"/l/{secret}", data={"match": verification["match"]}) as response:
                assert "<h1>Confirmed</h1>" in await response.text()
            return
        headers = {"Authorization": f"Bearer {verification['client_token']}"}
        _, checked, _ = await self.post(f"/v1/verifications/{verification['id']}/verify", {action: secret}, **headers)
        assert checked["verdict"] == "approved"

    async def close(self):
        """Close its connections."""
        await self._client.close()


def test_the_page_offers_every_language():
    """The choice of languages has each language of the texts once, under its own name."""
    page = (Path(login.__file__).parent / "pages" / "login.html").read_text("utf-8")
    offered = re.findall(r'<option value="([\w-]+)" lang="\1">[^<]+</option>', page)
    assert sorted(offered) == sorted(LOCALES)


@pytest.fixture
async def browser(monkeypatch):
    """Open a browser on a demo whose walkthrough waits for the end of the test."""
    opened, done = asyncio.get_running_loop().create_future(), asyncio.Event()

    async def walk(url, _key, _window):
        opened.set_result(Browser(url))
        await done.wait()
        return True

    monkeypatch.setattr(stage, "walk", walk)
    demo = asyncio.create_task(stage.run_demo(host="127.0.0.1", port=free_port(), once=True))
    visitor = await asyncio.wait_for(opened, 30)
    yield visitor
    await visitor.close()
    done.set()
    assert await demo == 0


async def test_only_the_browser_that_began_is_called_instead(browser):
    """The back end sends the next code by a call, with its API key, to the browser that began; to another, nothing."""
    verification, cookie = await browser.begin()
    asked = {"id": verification["id"]}
    assert await browser.post("/demo/call", asked) == (403, {"detail": "This login is over. Start again."}, [])
    own = {"Cookie": cookie.partition(";")[0]}
    status, answer, _ = await browser.post("/demo/call", asked, **own)
    assert (status, answer["code"], answer["limit"]) == (429, "rate_limited", "number")
    async with asyncio.timeout(30):
        while status == 429:
            await asyncio.sleep(0.5)
            status, answer, _ = await browser.post("/demo/call", asked, **own)
    assert (status, [send["channel"] for send in answer["sends"]]) == (200, ["sms", "voice"])


@pytest.mark.parametrize("path", ["/demo/login", "/demo/call", "/demo/session"])
async def test_only_json_from_our_own_pages_is_accepted(browser, path):
    """A request from a form, another site, another port or an unknown origin is refused before its body is read."""
    assert await browser.status(path) == 422
    assert await browser.status(path, Content_Type="application/json; charset=utf-8") == 422
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None):
        assert await browser.status(path, Content_Type=media_type) == 415
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1", browser.url.replace("http", "https")):
        assert await browser.status(path, Origin=origin, Sec_Fetch_Site=None) == 403
    for site in ("cross-site", "same-site", "none"):
        assert await browser.status(path, Sec_Fetch_Site=site) == 403
    assert await browser.status(path, Origin=None) == 422
    assert await browser.status(path, Sec_Fetch_Site=None) == 422
    assert await browser.status(path, Origin=None, Sec_Fetch_Site=None) == 403


@pytest.mark.parametrize("path", ["/", "/demo/session", "/demo/window", "/sandbox/phone", "/sandbox/_/messages"])
async def test_a_foreign_host_name_gets_nothing(browser, path):
    """A foreign Host name gets no page, no record and no message (DNS rebinding); addresses and localhost do."""
    for host in ("evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "1", "[x]"):
        assert await browser.status(path, None, method="GET", Host=host) == 421
    if path != "/demo/window":  # an endless stream
        for host in ("localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000", "192.168.1.2"):
            assert await browser.status(path, None, method="GET", Host=host) != 421


async def test_a_foreign_host_name_cannot_sign_in(browser):
    """A page whose origin matches its own foreign Host name is refused."""
    evil = {"Host": "evil.example:8000", "Origin": "http://evil.example:8000"}
    assert await browser.status("/demo/login", **evil) == 421
    assert await browser.status("/demo/session", **evil) == 421


async def test_sign_in_creates_a_new_session(browser):
    """Login cookies and sessions that were set before are discarded; new ones are random and hidden from scripts."""
    planted = "demo_session=planted; demo_login=planted"
    verification, cookie = await browser.begin(Cookie=planted)
    name, secret = cookie.split(";")[0].split("=")
    assert (name, "planted" in secret) == (f"demo_login_{verification['id']}", False)
    assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
    await browser.approve(verification)
    claim = {"id": verification["id"]}
    for others in ("", planted, f"{name}=planted"):
        assert (await browser.post("/demo/session", claim, Cookie=others))[0] == 403
    sessions = []
    for _ in range(2):  # the second repeats the request, as after a lost response
        status, _, [session] = await browser.post(
            "/demo/session", claim, Cookie=f"{name}={secret}; demo_session=planted"
        )
        assert status == 200
        assert {"HttpOnly", "SameSite=lax"} <= set(session.split("; "))
        sessions.append(session.split(";")[0])
    assert await browser.who(sessions[1]) == (200, NUMBER)
    for ended in (sessions[0], "demo_session=planted", None):
        assert await browser.who(ended) == (401, None)


@pytest.mark.parametrize("action", ["code", "password", "link"])
async def test_each_action_signs_in_where_it_began(browser, action):
    """A code, a password or an answered link signs in once approved, and only in the browser that began."""
    verification, cookie = await browser.begin(action=action)
    claim, cookie = {"id": verification["id"]}, cookie.split(";")[0]
    assert (verification["action"], bool(verification["match"])) == (action, action == "link")
    assert (await browser.post("/demo/session", claim, Cookie=cookie))[0] == 403
    await browser.approve(verification)
    assert (await browser.post("/demo/session", claim))[0] == 403, "such as the browser of the phone that has the link"
    status, _, [session] = await browser.post("/demo/session", claim, Cookie=cookie)
    assert status == 200
    assert await browser.who(session.split(";")[0]) == (200, NUMBER)


async def test_a_scanner_that_opens_the_link_signs_nobody_in(browser):
    """To open a link, with HEAD, with GET or with a form that is empty, is no answer; its page names the login page."""
    verification, cookie = await browser.begin(action="link")
    [token] = ACTIONS["link"].found_in(await browser.text_to(NUMBER))
    async with aiohttp.request("GET", f"{browser.url}/l/{token}") as response:
        assert "the login page of the demo" in await response.text()
    for method, form in (("HEAD", None), ("GET", None), ("POST", {"match": ""})):
        assert await browser.status(f"/l/{token}", form, method=method, Content_Type=FORM) in {200, 422}
    claim = {"id": verification["id"]}
    assert (await browser.post("/demo/session", claim, Cookie=cookie.split(";")[0]))[0] == 403


async def test_an_action_that_the_page_does_not_offer_is_refused(browser):
    """Which actions there are is for the back end to say."""
    assert (await browser.post("/demo/login", {"to": NUMBER, "action": "telepathy"}))[0] == 422


async def test_a_repeated_request_does_not_sign_in_twice(browser, monkeypatch):
    """A repeated request sets a new login cookie and voids the earlier one, but does not extend the time to sign in."""
    verification, first = await browser.begin(key="k" * 32)
    await browser.approve(verification)
    again, second = await browser.begin(key="k" * 32)
    assert again["id"] == verification["id"]
    claim, newest = {"id": verification["id"]}, second.split(";")[0]
    assert (await browser.post("/demo/session", claim, Cookie=first.split(";")[0]))[0] == 403
    assert (await browser.post("/demo/session", claim, Cookie=newest))[0] == 200
    _, third = await browser.begin(key="k" * 32)
    a_minute_later = SimpleNamespace(monotonic=lambda: time.monotonic() + login._REPEAT_SECONDS)
    monkeypatch.setattr(login, "time", a_minute_later)
    assert (await browser.post("/demo/session", claim, Cookie=third.split(";")[0]))[0] == 403


def test_cookies_have_the_host_prefix_under_https():
    """Cookies have `__Host-` and `Secure` under https, and neither under http, where browsers would drop them."""
    for scheme, begins, is_secure in (("https", "__Host-demo_session=", True), ("http", "demo_session=", False)):
        request = login.Request({"type": "http", "scheme": scheme, "path": "/", "headers": [], "server": ("a", 1)})
        response, signed_in = login.Response(), login._Login(NUMBER)
        LoginSite("http://127.0.0.1", "")._start_session(request, response, signed_in)
        cookie = response.headers["Set-Cookie"]
        assert (cookie.startswith(begins), "Secure" in cookie, "Path=/" in cookie) == (True, is_secure, True)
