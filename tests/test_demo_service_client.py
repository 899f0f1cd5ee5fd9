"""How the demo's back end calls the service when the connection between them fails: real HTTP, through a relay.

The relay passes bytes on to a real service. A test plans how it treats the next requests of the back end.
"""

import json
from contextlib import asynccontextmanager, contextmanager

import pytest
from fastapi import FastAPI

from service.demo import service_client
from service.demo.login import LoginSite
from tests.conftest import free_listener, serving
from tests.relay import Relay
from tests.test_demo_login import NUMBER, Browser

KEY = "k" * 32
HTML = b"HTTP/1.1 201 Created\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\nno\r\n"
BROKEN_OFF = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n{"
UNAVAILABLE = {"code": "unavailable", "detail": "We cannot do this right now. Try again in a moment."}
TOO_SLOW = {"code": "timeout", "detail": "The service takes too long. Try again in a moment."}


@asynccontextmanager
async def site_before(relay, key):
    """Serve the sample site with a back end that reaches the service through the relay; yield a browser."""
    async with (
        relay.listening() as relay_url,
        LoginSite(relay_url, key) as site,
        serving(FastAPI(routes=site.routes())) as url,
    ):
        browser = Browser(url)
        yield browser
        await browser.close()


@pytest.fixture
async def relay():
    """Return a relay without plans."""
    return Relay()


@pytest.fixture
async def browser(relay, running):
    """Open a browser on a sample site before a running service."""
    relay.lead_to(running.url)
    async with site_before(relay, running.key) as opened:
        yield opened


async def approve(running, verification):
    """Type the code of the message."""
    assert (await running.verify(verification["id"], running.codes(NUMBER)[-1]))["valid"]


@pytest.mark.parametrize("fault", ["close", "lose", BROKEN_OFF])
@pytest.mark.parametrize("keys", [{"Idempotency-Key": KEY}, {}])
async def test_a_connection_that_ends_early_is_not_noticed(browser, relay, running, fault, keys):
    """Closed before the request is read, after it or within the response: a repeat has the answer, one message goes."""
    relay.plans = [fault]
    status, verification, cookies = await browser.post("/demo/login", {"to": NUMBER}, **keys)
    assert (status, verification["status"], len(cookies)) == (201, "pending", 1)
    assert len(running.messages(NUMBER)) == 1
    relay.plans = [fault]
    await approve(running, verification)
    status, signed_in, _ = await browser.post("/demo/session", {"id": verification["id"]}, Cookie=cookies[0])
    assert (status, signed_in) == (200, {"signed_in": True, "as": NUMBER})


async def test_no_request_is_lost_when_idle_connections_close(browser, relay, running):
    """A service that closes each connection when its second request arrives still gets every request."""
    relay.keeps = False
    for end in range(3):
        await browser.begin(f"+1212555010{end}")
    assert (len(running.sandbox.ledger.messages()), relay.requests) == (3, 3)


@contextmanager
def failing(relay, plan):
    """Treat every request like this; the back end has half a second if it would never get a response."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service_client, "_PATIENCE_SECONDS", 0.5 if plan == "hang" else 30)
        relay.plans, relay.requests = [plan] * 9, 0
        yield
    assert relay.requests <= 4  # aiohttp repeats each GET by itself
    relay.plans = []


@pytest.mark.parametrize(
    ("plan", "answer"),
    [
        ("close", (503, UNAVAILABLE)),
        (BROKEN_OFF, (503, UNAVAILABLE)),
        (b"nonsense\r\n\r\n", (503, UNAVAILABLE)),
        (HTML, (502, UNAVAILABLE)),
        ("hang", (504, TOO_SLOW)),
    ],
)
async def test_a_service_that_does_not_answer_is_no_error_of_the_site(browser, relay, running, plan, answer):
    """No response, a broken one or a late one: the page gets a status and a sentence, and may repeat its request."""
    with failing(relay, plan):
        status, problem, cookies = await browser.post("/demo/login", {"to": NUMBER}, **{"Idempotency-Key": KEY})
        assert ((status, problem), cookies) == (answer, [])
    verification, cookie = await browser.begin(key=KEY)
    assert len(running.messages(NUMBER)) == 1
    await approve(running, verification)
    claim = {"id": verification["id"]}
    with failing(relay, plan):
        assert (await browser.post("/demo/session", claim, Cookie=cookie))[:2] == answer
    assert (await browser.post("/demo/session", claim, Cookie=cookie))[0] == 200


async def test_a_service_that_is_gone_is_no_error_of_the_site(running):
    """While nothing listens at the service's address, the page gets 503 and a sentence."""
    listener = free_listener()
    gone = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with LoginSite(gone, "") as site, serving(FastAPI(routes=site.routes())) as url:
        browser = Browser(url)
        assert (await browser.post("/demo/login", {"to": NUMBER}))[:2] == (503, UNAVAILABLE)
        await browser.close()
    listener.close()


async def test_a_site_without_a_valid_key_does_not_blame_the_person(relay, running):
    """The service refuses the site's own API key: that is 502 to the page, which could do nothing about a 401."""
    relay.lead_to(running.url)
    async with site_before(relay, "otp_sk_" + "x" * 43) as browser:
        assert (await browser.post("/demo/login", {"to": NUMBER}))[:2] == (502, UNAVAILABLE)


async def test_what_the_person_can_act_on_is_passed_on(browser):
    """A wrong number is 422 with the service's sentence, a key that no service takes 400."""
    status, problem, _ = await browser.post("/demo/login", {"to": "+1"})
    assert (status, problem["code"]) == (422, "invalid_number")
    status, problem, _ = await browser.post("/demo/login", {"to": NUMBER}, **{"Idempotency-Key": "k" * 300})
    assert (status, problem["code"]) == (400, "invalid_idempotency_key")


@pytest.mark.parametrize("change", [{"to": "+12125550199"}, {"purpose": "payment"}, {"status": "pending"}])
async def test_only_the_approval_that_was_asked_for_signs_in(browser, relay, change):
    """An approved verification of another number or purpose proves nothing, nor does one that is pending."""
    verification, cookie = await browser.begin()
    claim, found = {"id": verification["id"]}, {"to": NUMBER, "purpose": "login", "status": "approved"}
    relay.plans = [_response(found | change), _response(found)]
    assert (await browser.post("/demo/session", claim, Cookie=cookie))[0] == 403
    assert (await browser.post("/demo/session", claim, Cookie=cookie))[0] == 200


def _response(content):
    body = json.dumps(content).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
