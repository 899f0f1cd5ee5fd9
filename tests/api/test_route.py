"""The promises of `service.http.route`: bodies have a maximum size and the right type, and paths are exact."""

import gzip
import json

import pytest

ISSUE = "/v1/verifications"
BODY = json.dumps({"to": "+14155550123"}).encode()


async def test_a_body_of_4_kib_is_read_and_one_byte_more_is_not(running, post_raw, expect):
    """The limit is exactly 4096 bytes for a body with Content-Length."""
    assert (await post_raw(running, ISSUE, BODY.ljust(4096)))[0] == 201
    expect(await post_raw(running, ISSUE, BODY.ljust(4097)), 413, "body_too_large")
    assert len(running.messages()) == 1


async def test_the_limit_applies_without_content_length(running, post_raw, expect):
    """A chunked body is counted as it arrives, and refused as soon as it is too long."""

    async def chunks(size):
        for start in range(0, size, 1000):
            yield BODY.ljust(size)[start : min(size, start + 1000)]

    assert (await post_raw(running, ISSUE, chunks(4096)))[0] == 201
    response = await post_raw(running, ISSUE, chunks(4097))
    expect(response, 413, "body_too_large")
    assert response[2]["Connection"] == "close"


async def test_a_large_body_is_refused_before_it_is_sent(running, on_the_wire):
    """A Content-Length over the limit gets a 413 at once, before any byte of the body."""
    head = request_head(running, b"content-length: 1000000")
    received = await on_the_wire(running, head)
    assert received.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"body_too_large"' in received


async def test_an_unknown_key_is_refused_before_the_body_is_read(running, on_the_wire):
    """Without a valid key the response is 401, whatever the Content-Length."""
    head = request_head(running, b"content-length: 1000000", key="otp_sk_unknown")
    received = await on_the_wire(running, head + b"x", seconds=1.0)
    assert received.startswith(b"HTTP/1.1 401 ")


async def test_an_incomplete_body_changes_nothing(running, on_the_wire):
    """A connection that ends during its body causes no send and no error."""
    await on_the_wire(running, request_head(running, b"content-length: 500") + BODY, then_close=True)
    assert running.messages() == []
    await running.issue()


async def test_a_compressed_body_is_refused(running, post_raw, expect):
    """A body with a Content-Encoding gets a 415 that names it, and is never read as if it were not compressed."""
    for coding, body in (("gzip", gzip.compress(BODY)), ("gzip", BODY), ("br", BODY), ("identity, gzip", BODY)):
        refused = await post_raw(running, ISSUE, body, **{"Content-Encoding": coding})
        assert "Content-Encoding" in expect(refused, 415, "unsupported_media_type")["detail"]
    assert running.messages() == []
    assert (await post_raw(running, ISSUE, BODY, **{"Content-Encoding": "identity"}))[0] == 201


async def test_another_media_type_is_refused(running, post_raw, expect):
    """A body of another type, or without a type, gets a 415: a browser form cannot use the API."""
    form = "application/x-www-form-urlencoded"
    for media_type in ("text/plain", form, "multipart/form-data", "application/jsonp", "", None):
        problem = expect(await post_raw(running, ISSUE, BODY, media_type), 415, "unsupported_media_type")
        assert problem["detail"].endswith(" Send application/json.")
    assert running.messages() == []


async def test_the_media_type_may_name_its_charset(running, post_raw):
    """Parameters and capitals in the media type make no difference."""
    assert (await post_raw(running, ISSUE, BODY, "Application/JSON; charset=utf-8"))[0] == 201


BODYLESS = ("resend", "cancel")


@pytest.mark.parametrize("endpoint", BODYLESS)
async def test_a_route_that_needs_no_body_accepts_none_or_an_empty_object(running, post_raw, endpoint):
    """No body, `{}` and an empty chunked body mean the same."""
    for body in (b"", b"{}", b" {\n} ", no_chunks()):
        issued = await running.issue()
        assert (await post_raw(running, f"{ISSUE}/{issued['id']}/{endpoint}", body))[0] == 200
    issued = await running.issue()
    assert (await post_raw(running, f"{ISSUE}/{issued['id']}/{endpoint}", None, None))[0] == 200


@pytest.mark.parametrize("endpoint", BODYLESS)
async def test_a_route_that_needs_no_body_refuses_unknown_fields(running, post_raw, expect, endpoint):
    """A field that has no meaning here is refused by name, and nothing is done; so is a body that is no object."""
    issued = await running.issue()
    one = f"{ISSUE}/{issued['id']}/{endpoint}"
    problem = expect(await post_raw(running, one, b'{"code": "123456"}'), 422, "invalid_request")
    assert problem["errors"] == [{"pointer": "/code", "detail": "This field is not known."}]
    for body, status, code in (
        (b"[]", 422, "invalid_request"),
        (b"null", 422, "invalid_request"),
        (b"{", 400, "malformed_body"),
        (b"{}".ljust(4097), 413, "body_too_large"),
    ):
        expect(await post_raw(running, one, body), status, code)
    expect(await post_raw(running, one, b"{}", "text/plain"), 415, "unsupported_media_type")
    expect(await post_raw(running, one, b"a=1", "application/x-www-form-urlencoded"), 415, "unsupported_media_type")
    now = await running.read(issued["id"])
    assert (now["status"], len(now["sends"])) == ("pending", 1)


async def test_a_route_without_a_body_authenticates_first(running, expect):
    """An unknown key is refused before the body is validated."""
    response = await running.call("POST", f"{ISSUE}/x/cancel", {"channel": "call"}, key="otp_sk_unknown")
    expect(response, 401, "unauthenticated")


async def test_a_body_of_a_get_is_not_ignored(running, expect):
    """A read with fields in its body is refused like the others."""
    issued = await running.issue()
    expect(await running.call("GET", f"{ISSUE}/{issued['id']}", {"to": "x"}), 422, "invalid_request")
    assert (await running.call("GET", f"{ISSUE}/{issued['id']}", {}))[0] == 200


STRANGE_PATHS = (
    "/v1/verifications/",
    "//v1/verifications",
    "/v1//verifications",
    "/V1/verifications",
    "/v1/verifications/ve_00000000000000000000000000000000/verify/",
    "/v1/verifications/../verifications/x/y",
    "/v1/verifications/%2e%2e%2fkeys/verify",
    "/%ff%fe",
    "/v1/verifications/a%00b/c",
    "/sandbox/_/messages",
    "/docs/assets/../../etc/passwd",
    "/docs/assets/%2e%2e/%2e%2e/pyproject.toml",
    "/x?" + "q=1&" * 500,
)


async def test_a_path_is_exact(running, on_the_wire):
    """There are no redirects, normalised paths or guesses: an unknown path is a 404, and no file can be read."""
    for path in STRANGE_PATHS:
        received = await on_the_wire(running, f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        assert received.startswith(b"HTTP/1.1 404 "), path
        assert b'"code":"not_found","title":"Not found","status":404,' in received, path


async def test_a_wrong_method_gets_the_right_one_in_allow(running, expect):
    """A method that a path does not support gets a 405 with the supported one in Allow."""
    for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS"):
        response = await running.call(method, ISSUE)
        expect(response, 405, "method_not_allowed")
        assert response[2]["Allow"] == "POST"
        searched = await running.call(method, f"{ISSUE}/search")
        expect(searched, 405, "method_not_allowed")
        assert searched[2]["Allow"] == "POST"
    status, body, headers = await running.call("HEAD", ISSUE)
    assert (status, body, headers["Allow"]) == (405, None, "POST")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/l/0" + "a" * 22, "GET, HEAD, POST"),
        ("/l/x", "GET, HEAD, POST"),
        ("/l/style.css", "GET, HEAD"),
        ("/twilio/status/x/1", "POST"),
        ("/docs", "GET, HEAD"),
    ],
)
async def test_allow_names_every_method_of_a_path(running, path, allowed):
    """Allow has the methods of all routes that a path has, not only of the first one."""
    for method in ("DELETE", "PUT", "OPTIONS"):
        async with running.http.request(method, path) as response:
            assert (response.status, response.headers["Allow"]) == (405, allowed)


ONE = f"{ISSUE}/{{id}}"
HEADED = ["/livez", "/readyz", "/metrics", "/docs", "/redoc", "/openapi.json", ONE]


@pytest.mark.parametrize("path", HEADED)
async def test_every_get_has_a_head(running, path):
    """HEAD has the status and headers of GET, without the body."""
    issued = await running.issue()
    asked = {"headers": {"Authorization": f"Bearer {running.key}"}}
    got = await running.http.get(path.format(id=issued["id"]), **asked)
    head = await running.http.head(path.format(id=issued["id"]), **asked)
    assert (got.status, head.status, await head.read()) == (200, 200, b"")
    fresh = {"DATE", "X-REQUEST-ID"}  # differs for each response
    if path in ("/metrics", ONE):  # their contents change meanwhile
        fresh.add("CONTENT-LENGTH")
    assert head.headers.keys() == got.headers.keys()
    assert {name.upper() for name in head.headers if head.headers[name] != got.headers[name]} <= fresh


async def test_head_requires_the_credential_of_get(running, expect):
    """HEAD requires the same credential as GET, and reveals nothing without it."""
    issued = await running.issue()
    status, body, _ = await running.call("HEAD", f"{ISSUE}/{issued['id']}", key="otp_sk_unknown")
    assert (status, body) == (401, None)
    response = await running.call("DELETE", f"{ISSUE}/{issued['id']}")
    expect(response, 405, "method_not_allowed")
    assert response[2]["Allow"] == "GET, HEAD"


async def test_a_malformed_id_is_an_unknown_verification(running, expect):
    """A malformed id gets a 404 like an unknown one, on every endpoint with an id."""
    for verification_id in ("x", "ve_", "ve_" + "0" * 31, "ve_" + "G" * 32, "VE_" + "0" * 32, "ve_" + "0" * 33, "%7B0"):
        one = f"{ISSUE}/{verification_id}"
        expect(await running.call("GET", one), 404, "unknown_verification")
        expect(await running.call("POST", one + "/verify", {"code": "123456"}), 404, "unknown_verification")
        expect(await running.call("POST", one + "/resend"), 404, "unknown_verification")
        expect(await running.call("POST", one + "/cancel"), 404, "unknown_verification")


async def no_chunks():
    """Return an empty body without Content-Length."""
    for nothing in ():
        yield nothing


def request_head(service, *headers, key=None):
    """Write the head of an issue, which a body may follow."""
    authorization = f"authorization: Bearer {key or service.key}".encode()
    lines = [b"POST /v1/verifications HTTP/1.1", b"host: x", b"content-type: application/json", authorization, *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"
