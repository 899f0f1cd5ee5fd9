"""The promises of `service.api.application` and its pages: docs without a foreign host, or none at all."""

import re
from urllib.parse import urljoin

import pytest

PAGES = ("/docs", "/redoc")


@pytest.mark.parametrize("path", PAGES)
async def test_the_docs_name_no_foreign_host_and_their_files_are_served(running, path):
    """The pages load their scripts, styles and icons from this service, so they work without a network."""
    async with running.http.get(path) as answer:
        page = await answer.text()
        assert (answer.status, answer.content_type) == (200, "text/html")
    assert re.findall(r"(?:https?:)?//[\w.-]+", page) == []
    loaded = [urljoin(path, address) for address in re.findall(r"""(?:src|href)=["']([^"']+)["']""", page)]
    assert len(loaded) >= 4
    for address in loaded:
        async with running.http.get(address) as answer:
            assert answer.status == 200, address
            content = await answer.read()
            assert content
    assert b'"openapi.json"' in content  # the last one is the script that starts the page


@pytest.mark.parametrize("path", PAGES)
async def test_the_docs_allow_their_own_files_and_no_script_of_the_page(running, path):
    """The policy of a page begins with nothing, and lets scripts and requests go to this service alone."""
    async with running.http.get(path) as answer:
        [policy] = answer.headers.getall("Content-Security-Policy")
    directives = {name: values for name, *values in (part.split() for part in policy.split(";"))}
    for name in ("default-src", "base-uri", "form-action", "frame-ancestors"):
        assert directives[name] == ["'none'"]
    for name in ("script-src", "connect-src"):
        assert directives[name] == ["'self'"]
    assert "http" not in policy
    assert "*" not in policy


async def test_redoc_asks_for_no_logo(running):
    """The one address that ReDoc would fetch by itself is not in the script that is served, and a script it stays."""
    async with running.http.get("/docs/assets/redoc.standalone.js") as answer:
        script = await answer.text()
        assert answer.content_type == "text/javascript"
    assert "cdn.redoc.ly" not in script
    assert 'src:"data:,"' in script


async def test_what_is_no_page_may_load_nothing(running):
    """Answers, problems and files allow a browser nothing at all, and no page may frame them."""
    for target in ("/livez", "/nothing", "/openapi.json", "/v1/verifications/x", "/docs/assets/docs.js"):
        _, _, headers = await running.call("GET", target)
        assert headers.getall("Content-Security-Policy") == ["default-src 'none'; frame-ancestors 'none'"], target


async def test_the_docs_can_be_left_out(start, expect):
    """`OTP_DOCS=false` leaves no page, no file and no document, and the API as it was."""
    service = await start(otp_docs=False)
    for path in (*PAGES, "/openapi.json", "/docs/assets/swagger-ui.css", "/docs/assets/redoc.standalone.js"):
        expect(await service.call("GET", path), 404, "not_found")
    await service.issue()
