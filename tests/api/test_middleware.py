"""The promises of `service.http.middleware` and of CORS: ids, one safe log line per request, security headers."""

import json
import re

import pytest

from service.core.checking import Checking
from service.http.direct_router import DirectRouter
from service.http.middleware import RequestMiddleware
from service.http.request import request_of
from service.http.response import Response, send_response
from service.http_server import Connections
from service.logs.event_log import FIELDS, open_event_log, request_log_of

ISSUE = "/v1/verifications"
UNKNOWN = f"{ISSUE}/ve_{'0' * 32}"
ORIGIN = "https://app.example"


class Lines:
    """An event log that keeps its lines."""

    def __init__(self):
        self.all = []

    def __call__(self, event, /, **fields):
        self.all.append({"event": event, **fields})

    def requests(self):
        """List the lines of the callers' requests; the simulator's callbacks have their own."""
        return [line for line in self.all if line["event"] == "request" and not line["route"].startswith("/twilio/")]


@pytest.fixture
def lines():
    """Return an event log that keeps its lines."""
    return Lines()


@pytest.fixture
async def watched(start, lines):
    """Start a service whose log is kept."""
    return await start(event_log=lines)


async def test_each_request_has_exactly_one_log_line_with_the_routes_template(watched, lines):
    """Every request has one log line, with the template of its route instead of its path."""
    issued = await watched.issue()
    one = f"{ISSUE}/{issued['id']}"
    await watched.call("GET", one)
    await watched.call("POST", one + "/verify", {"code": watched.codes()[0]})
    await watched.call("POST", one + "/resend")
    await watched.call("GET", UNKNOWN, key="otp_sk_unknown")
    await watched.call("GET", "/+14155550123/918273")
    await watched.call("DELETE", one)
    seen = [(line["method"], line["route"], line["status"], line.get("problem")) for line in lines.requests()]
    assert seen == [
        ("POST", "/v1/verifications", 201, None),
        ("GET", "/v1/verifications/{verification_id}", 200, None),
        ("POST", "/v1/verifications/{verification_id}/verify", 200, None),
        ("POST", "/v1/verifications/{verification_id}/resend", 409, "not_pending"),
        ("GET", "/v1/verifications/{verification_id}", 401, "unauthenticated"),
        ("GET", "unmatched", 404, None),
        ("DELETE", "unmatched", 405, None),
    ]


async def test_a_line_names_the_caller_and_the_verdict(watched, lines):
    """The line of a check contains the API key's name, the verification, the verdict, and a duration in ms."""
    issued = await watched.issue()
    await watched.verify(issued["id"], watched.codes()[0])
    line = lines.requests()[-1]
    assert (line["api_key"], line["verification_id"], line["verdict"]) == ("test", issued["id"], "approved")
    assert 0 < line["duration_ms"] < 60_000


async def test_no_secret_is_logged(start, eventually):
    """No line of the real log contains the number, a code, a key, a token, or a field that is not listed."""
    lines = []
    service = await start(event_log=open_event_log(to=lambda line, _: lines.append(line.decode())))
    issued = await service.issue(reference="order-1", client_ip="192.0.2.77")
    one = f"{ISSUE}/{issued['id']}"
    [code] = service.codes()
    await service.call("GET", one, key=issued["client_token"])
    await service.call("POST", one + "/verify", {"code": code, "to": "+14155550123"}, key=issued["client_token"])
    await service.call("POST", one + "/verify?code=" + code, {"code": [code]}, key="otp_sk_" + "z" * 40)
    await service.call("GET", "/+14155550123", headers={"X-Request-ID": "+14155550123", "User-Agent": code})
    assert await eventually(service.confirmed)
    written = "".join(lines)
    parsed = [json.loads(line) for line in written.splitlines()]
    requests = [line for line in parsed if line["event"] == "request" and not line["route"].startswith("/twilio/")]
    assert [line["status"] for line in requests] == [201, 200, 200, 401, 404]
    assert {name for line in parsed for name in line} <= FIELDS
    for secret in ("4155550123", issued["client_token"], service.key, "zzzz", "192.0.2.77", "order-1"):
        assert secret not in written
    assert re.search(rf"(?<![0-9a-f]){code}(?![0-9a-f])", written) is None


async def test_probes_are_not_logged(watched, lines):
    """Probes and scrapes, which come every few seconds, are not logged."""
    for path in ("/livez", "/readyz", "/metrics"):
        assert (await watched.call("GET", path))[0] == 200
    assert lines.requests() == []


async def test_a_valid_request_id_is_used(watched, lines):
    """An id of 16 to 64 hex digits or dashes is used in the response and in the log."""
    for request_id in ("0123456789abcdef", "A" * 64, "0b9a6d3e-5a0e-4b6e-8d54-0f6f4a6b7c8d"):
        _, _, headers = await watched.call("GET", UNKNOWN, headers={"X-Request-ID": request_id})
        assert (headers.getall("X-Request-ID"), lines.requests()[-1]["request_id"]) == ([request_id], request_id)


async def test_another_request_id_is_replaced(watched, lines):
    """An id that could be a number or a key is replaced."""
    for request_id in ("", "+14155550123", "14155550123", "otp_sk_abcdef", "a" * 65, "x" * 32, "a b" * 9):
        _, _, headers = await watched.call("GET", UNKNOWN, headers={"X-Request-ID": request_id})
        [given] = headers.getall("X-Request-ID")
        assert re.fullmatch("[0-9a-f]{16}", given)
        assert lines.requests()[-1]["request_id"] == given


ORIGINS = pytest.mark.parametrize("origin", [{}, {"Origin": ORIGIN}], ids=["direct", "asgi"])
PROBLEMS = [
    ("GET", UNKNOWN, 404, "unknown_verification"),
    ("GET", "/nothing", 404, "not_found"),
    ("PUT", ISSUE, 405, "method_not_allowed"),
    ("POST", f"{UNKNOWN}/verify", 415, "unsupported_media_type"),
]


@ORIGINS
@pytest.mark.parametrize("problem", PROBLEMS, ids=[code for *_, code in PROBLEMS])
async def test_a_problem_names_its_request(start, expect, origin, problem):
    """A problem has the request's id in its body, over ASGI too: ours, or the one that came with the request."""
    service, (method, path, *told) = await start(otp_cors_origins=ORIGIN), problem
    for own in ({}, {"X-Request-Id": "0123456789abcdef-0123"}):
        body = expect(await service.call(method, path, headers={**origin, **own}), *told)
        assert body["request_id"] == own.get("X-Request-Id", body["request_id"])
    escaping = {"X-Request-Id": 'aaaaaaaaaaaaaaaa","code":"x'}
    body = expect(await service.call(method, path, headers={**origin, **escaping}), *told)
    assert re.fullmatch("[0-9a-f]{16}", body["request_id"])


@ORIGINS
async def test_head_announces_the_length_of_the_problem(start, origin):
    """HEAD has the Content-Length of GET's problem, its request id included, and no body."""
    service = await start(otp_cors_origins=ORIGIN)
    for path in (UNKNOWN, "/nothing"):
        (_, _, got), (_, body, head) = [await service.call(way, path, headers=origin) for way in ("GET", "HEAD")]
        assert (body, head["Content-Length"]) == (None, got["Content-Length"])


async def test_only_the_kind_and_place_of_an_unexpected_error_are_logged(start, lines, monkeypatch):
    """An unexpected exception is logged with its type and place but without its message, besides the request line."""

    async def fail_on_purpose(*_, **__):
        raise RuntimeError("+14155550123")

    monkeypatch.setattr(Checking, "read", fail_on_purpose)
    service = await start(event_log=lines)
    status, _, headers = await service.call("GET", UNKNOWN)
    [fault] = [line for line in lines.all if line["event"] == "unexpected_error"]
    assert (status, fault["exception"], fault["request_id"]) == (500, "RuntimeError", headers["X-Request-ID"])
    assert fault["where"].startswith("fail_on_purpose:")
    [line] = lines.requests()
    assert (line["status"], line["problem"], line["request_id"]) == (500, "internal_error", headers["X-Request-ID"])
    assert "4155550123" not in str(lines.all)


async def test_the_reason_of_a_503_is_only_logged(start, gate, lines, expect):
    """Without Redis the log line names the step that failed; the response has only the code and the wait."""
    service = await start(redis_url=gate.url, event_log=lines)
    issued = await service.issue()
    await gate.shut()
    path = f"{ISSUE}/{issued['id']}"
    body = expect(await service.call("POST", path + "/verify", {"code": "000000"}), 503, "store_unavailable")
    assert set(body) == {"type", "code", "title", "status", "request_id", "detail", "retry_after"}
    line = lines.requests()[-1]
    assert (line["status"], line["problem"]) == (503, "store_unavailable")
    assert line["reason"]
    for secret in (gate.url, str(gate.port), "4155550123", issued["id"]):
        assert secret not in line["reason"]
    await gate.open()


async def test_other_problems_need_no_reason(start):
    """A problem that its code explains is logged without a reason."""
    lines = []
    service = await start(event_log=open_event_log(to=lambda line, _: lines.append(line.decode())))
    await service.call("GET", UNKNOWN)
    [line] = [json.loads(text) for text in lines if '"event":"request"' in text]
    assert (line["problem"], "reason" in line) == ("unknown_verification", False)


async def test_no_response_may_be_cached_or_sniffed(running):
    """Every response, of endpoints, of the router and of the docs, has no-store and nosniff once."""
    endpoints = [
        ("GET", path) for path in ("/livez", "/readyz", "/metrics", "/docs", "/openapi.json", "/nothing", UNKNOWN)
    ]
    endpoints += [("GET", "/docs/assets/nothing"), ("PUT", ISSUE), ("OPTIONS", ISSUE), ("POST", ISSUE)]
    for method, path in [*endpoints, ("POST", "/twilio/status/x/1")]:
        _, _, headers = await running.call(method, path)
        assert headers.getall("Cache-Control") == ["no-store"], path
        assert headers.getall("X-Content-Type-Options") == ["nosniff"], path
        assert len(headers.getall("X-Request-ID")) == 1
        assert "Server" not in headers


OWN = {"Content-Security-Policy": "sandbox", "Cache-Control": "public", "X-Content-Type-Options": "sniff"}


async def test_own_security_headers_are_sent_once_over_asgi_and_without_it(lines):
    """A response's own Content-Security-Policy is the only one; its own caching and sniffing headers are dropped."""

    async def page(_):
        return Response(200, b"{}", OWN)

    async def app(_scope, _receive, send):
        await send_response(Response(200, b"{}", OWN), send, b"")

    request_log = request_log_of(lines)
    middleware = RequestMiddleware(
        app, DirectRouter(app, max_in_flight=2), lines, request_log, connections=Connections(8)
    )
    call = request_of({"method": "GET", "path": "/", "headers": ()}, None)
    direct = (await middleware.respond(call, page)).header_lines.decode().lower().splitlines()
    messages = []

    async def keep(message):
        messages.append(message)

    await middleware({"type": "http", "method": "GET", "path": "/", "headers": ()}, None, keep)
    over_asgi = [f"{name.decode()}: {value.decode()}".lower() for name, value in messages[0]["headers"]]
    for sent in (direct, over_asgi):
        assert [line for line in sent if not line.startswith(("content-length", "content-type:", "x-request-id"))] == [
            "content-security-policy: sandbox",
            "cache-control: no-store",
            "x-content-type-options: nosniff",
        ]


async def preflight(service, origin, *, method="POST", asked="authorization,content-type"):
    """Send a preflight as a browser does before a cross-origin request."""
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": asked,
    }
    async with service.http.options(ISSUE, headers=headers) as response:
        return response.status, response.headers


async def test_an_allowed_origin_may_call(start):
    """A listed origin passes the preflight and may read the response, the exposed headers, and problems."""
    service = await start(otp_cors_origins=f"https://other.example,{ORIGIN}")
    asked = "authorization,content-type,idempotency-key,traceparent,tracestate,baggage,sentry-trace"
    status, headers = await preflight(service, ORIGIN, asked=asked)
    assert (status, headers["Access-Control-Allow-Origin"]) == (200, ORIGIN)
    assert "Access-Control-Allow-Credentials" not in headers
    for path in (UNKNOWN, "/nothing"):
        _, _, headers = await service.call("GET", path, headers={"Origin": ORIGIN})
        assert headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "Origin" in headers["Vary"]
        exposed = {name.strip() for name in headers["Access-Control-Expose-Headers"].lower().split(",")}
        assert {"location", "retry-after", "x-request-id"} <= exposed


async def test_an_origin_may_be_written_in_several_ways(start):
    """A trailing slash, the default port and capitals in the setting make no difference."""
    service = await start(otp_cors_origins=f"{ORIGIN.upper()}:443/")
    status, headers = await preflight(service, ORIGIN)
    assert (status, headers["Access-Control-Allow-Origin"]) == (200, ORIGIN)


async def test_another_origin_may_not_call(start):
    """An origin that is not listed fails the preflight and gets no CORS headers."""
    service = await start(otp_cors_origins=ORIGIN)
    for origin in ("https://evil.example", "http://app.example", "https://app.example.evil.example", "null"):
        status, headers = await preflight(service, origin)
        assert (status, headers.get("Access-Control-Allow-Origin")) == (400, None)
        _, _, headers = await service.call("GET", UNKNOWN, headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in headers


async def test_without_the_setting_there_is_no_cors(running):
    """If `OTP_CORS_ORIGINS` is empty, no response has CORS headers, and a preflight gets a 405."""
    status, headers = await preflight(running, ORIGIN)
    assert status == 405
    assert not [name for name in headers if name.lower().startswith("access-control")]
    _, _, headers = await running.call("GET", UNKNOWN, headers={"Origin": ORIGIN})
    assert not [name for name in headers if name.lower().startswith("access-control")]


async def test_a_star_allows_every_origin_without_credentials(start):
    """`OTP_CORS_ORIGINS=*` allows all origins; cookies are never used."""
    service = await start(otp_cors_origins="*")
    status, headers = await preflight(service, "https://anyone.example")
    assert (status, headers["Access-Control-Allow-Origin"]) == (200, "*")
    assert "Access-Control-Allow-Credentials" not in headers
