"""The promises of `service.http.wire`: another wire format needs only another wire; the rest of a route stays."""

import json
from contextlib import asynccontextmanager
from dataclasses import replace
from xml.sax.saxutils import escape

import aiohttp
import pytest
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response as StarletteResponse

from service.api.openapi import complete
from service.core.api_keys import Scope
from service.core.verification_store import UnknownVerification
from service.http.authentication import Access, unauthenticated
from service.http.direct_router import DirectRouter
from service.http.middleware import RequestMiddleware
from service.http.problems import HttpProblem
from service.http.response import Response
from service.http.route import DirectRoute
from service.http.wire import FORM_WIRE, HTML_WIRE
from service.http_server import Connections, HttpProtocol
from service.logs.event_log import request_log_of
from tests.conftest import serving

# A form-encoded wire with its own error format, like Twilio Verify's.
ERROR_CODES = {"unknown_verification": 20404, "invalid_request": 60200, "unauthenticated": 20003}


class WireError(BaseModel):
    """An error in the test's format."""

    code: int
    message: str
    status: int


def write_error(problem):
    """Write a problem in the test's format."""
    error = WireError(
        code=ERROR_CODES.get(problem.code, 20001), message=problem.members["title"], status=problem.status
    )
    return Response(problem.status, error.model_dump_json().encode(), problem.all_headers)


VERIFY_WIRE = replace(FORM_WIRE, render_problem=write_error, problem_model=WireError)


class Xml(StarletteResponse):
    """How OpenAPI shows TwiML."""

    media_type = "text/xml"


# The wire of Twilio's inbound webhooks.
TWIML_WIRE = replace(
    FORM_WIRE,
    render=lambda text, status: Response(
        status, f"<Response><Message>{escape(text)}</Message></Response>".encode(), media_type="text/xml"
    ),
    response_class=Xml,
)


class Check(BaseModel):
    """A form."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    To: str = Field(max_length=16)
    Code: str


async def authorize(request):
    """Accept the one key."""
    if request.header(b"authorization") != "Bearer good":
        raise unauthenticated()


async def check(request, body: Check):
    """Check."""
    if body.Code == "unknown":
        raise UnknownVerification
    if body.Code == "fault":
        raise RuntimeError("+14155550123")
    return {"to": body.To, "valid": body.Code == "123456"}


async def page(request):
    """Show a page."""
    return "<!doctype html><title>Hello</title>"


async def press(request, body: Check):
    """Handle the page's button."""
    if body.Code == "unknown":
        raise HttpProblem("unknown_verification", "<b>Start</b> again.")
    return f"<!doctype html><title>{body.Code}</title>"


async def inbound(request, body: bytes):
    """Respond to a message; the body is passed as received."""
    return f"got {len(body)} & more"


def routes():
    """List a route for each wire."""
    return [
        DirectRoute(
            "/forms",
            check,
            methods=["POST"],
            wire=VERIFY_WIRE,
            access=Access(lambda _: None, authorize, ("apiKey",), Scope.VERIFICATIONS),
            problems=("unknown_verification",),
            operation_id="checkForm",
            response_description="Checked.",
        ),
        DirectRoute("/page", page, wire=HTML_WIRE, access=None),
        DirectRoute("/page", press, methods=["POST"], wire=HTML_WIRE, access=None),
        DirectRoute("/inbound", inbound, methods=["POST"], wire=TWIML_WIRE, access=None),
    ]


@pytest.fixture
def lines():
    """Return a list of the log entries."""
    return []


@pytest.fixture(params=["direct", "asgi"])
async def site(request, lines):
    """Serve the routes and return a client; over ASGI its requests have an Origin and pass CORSMiddleware."""
    app = FastAPI()
    router = DirectRouter(app, max_in_flight=2)
    router.add_routes(routes())

    def log(event, /, **fields):
        lines.append({"event": event, **fields})

    middleware = RequestMiddleware(
        CORSMiddleware(router, allow_origins=["*"]),
        router,
        log,
        request_log_of(log),
        connections=Connections(8),
        has_cors=True,
    )
    headers = {"Origin": "https://app.example"} if request.param == "asgi" else {}
    async with serving(middleware, protocol=HttpProtocol) as url, aiohttp.ClientSession(url, headers=headers) as http:
        yield http


@asynccontextmanager
async def posted(site, path, data, key="good"):
    """Post a form."""
    async with site.post(path, data=data, headers={"Authorization": f"Bearer {key}"}) as response:
        yield response, await response.text()


async def test_a_form_gets_a_json_response(site):
    """A form-encoded wire validates the form with the endpoint's model and returns its result as JSON."""
    async with posted(site, "/forms", {"To": "+14155550123", "Code": "123456"}) as (response, text):
        assert (response.status, response.content_type) == (200, "application/json")
        assert json.loads(text) == {"to": "+14155550123", "valid": True}


FORM_ERRORS = {
    "field": ({"To": "+1", "Code": "1", "x": "1"}, "good", 422, 60200),
    "missing": ({"To": "+1"}, "good", 422, 60200),
    "not utf-8": (b"To=%ff&Code=\xff", "good", 400, 20001),
    "stranger": ({"To": "+1", "Code": "1"}, "bad", 401, 20003),
    "expected": ({"To": "+1", "Code": "unknown"}, "good", 404, 20404),
    "unexpected": ({"To": "+1", "Code": "fault"}, "good", 500, 20001),
    "large": ({"To": "+1", "Code": "1" * 5000}, "good", 413, 20001),
}


@pytest.mark.parametrize("name", FORM_ERRORS)
async def test_every_error_has_the_format_of_the_wire(site, lines, name):
    """Every error of a route, unexpected ones included, has the wire's own error format."""
    data, key, status, code = FORM_ERRORS[name]
    form = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Bearer {key}"}
    async with site.post("/forms", data=data, headers=form) as response:
        error = WireError.model_validate_json(await response.read())
    assert (response.status, error.status, error.code) == (status, status, code)
    assert response.content_type == "application/json"
    assert response.headers.getall("Cache-Control") == ["no-store"]
    assert ("WWW-Authenticate" in response.headers) == (status == 401)
    line = lines[-1]
    assert (line["route"], line["status"]) == ("/forms", status)
    assert line["request_id"] == response.headers["X-Request-Id"]
    assert [one["event"] for one in lines[:-1]] == ["unexpected_error"] * (status == 500)
    assert "4155550123" not in str(lines)


async def test_another_type_is_refused_in_the_format_of_the_wire(site):
    """A form-encoded wire refuses JSON and names the type that it expects."""
    async with site.post("/forms", json={"To": "+1"}, headers={"Authorization": "Bearer good"}) as response:
        assert (response.status, WireError.model_validate_json(await response.read()).code) == (415, 20001)


async def test_a_page_and_its_button(site):
    """An HTML wire shows a page, reads its form, and shows problems on a page, with all text escaped."""
    async with site.get("/page") as response:
        assert (response.status, response.content_type) == (200, "text/html")
        assert await response.text() == "<!doctype html><title>Hello</title>"
    async with posted(site, "/page", {"To": "+1", "Code": "42"}) as (response, text):
        assert (response.status, text) == (200, "<!doctype html><title>42</title>")
    async with posted(site, "/page", {"To": "+1", "Code": "unknown"}) as (response, text):
        assert (response.status, response.content_type) == (404, "text/html")
        assert "&lt;b&gt;Start&lt;/b&gt; again." in text


async def test_a_webhook_returns_twiml(site):
    """A route may take the bytes of a form, as signatures need them, and return XML."""
    async with posted(site, "/inbound", {"Body": "YES"}) as (response, text):
        assert (response.status, response.content_type) == (200, "text/xml")
        assert text == "<Response><Message>got 8 &amp; more</Message></Response>"


def test_the_document_shows_the_format_of_the_wire():
    """OpenAPI has the form as the body, the wire's error schema for each problem, and an example of each."""
    [form, *_] = routes()
    document = FastAPI(routes=[form]).openapi()
    complete(document, [form])
    operation = document["paths"]["/forms"]["post"]
    assert list(operation["requestBody"]["content"]) == ["application/x-www-form-urlencoded"]
    assert operation["security"] == [{"apiKey": []}]
    assert {"200", "401", "403", "404", "413", "415", "422", "500", "503"} <= set(operation["responses"])
    refused = operation["responses"]["404"]["content"]["application/json"]
    assert refused["schema"] == {"$ref": "#/components/schemas/WireError"}
    assert refused["examples"]["unknown_verification"]["value"]["code"] == 20404
    assert "WireError" in document["components"]["schemas"]
    assert "Problem" not in document["components"]["schemas"]
