"""The promises of `service.api.application` and its pages: docs that load nothing from another host, or no docs."""

import html
import re
from urllib.parse import urljoin, urlsplit

import pytest

from service.config.settings import Settings
from service.http.endings import EVERY_ENDING
from service.http.problem_catalogue import CATALOGUE
from service.http.problems import HttpProblem

PAGES = ("/docs", "/redoc")
PROBLEMS = "/docs/problems"


@pytest.mark.parametrize("path", PAGES)
async def test_the_docs_load_only_files_of_this_service(running, path):
    """The pages load scripts, styles and icons from this service, so they work without internet access."""
    async with running.http.get(path) as response:
        page = await response.text()
        assert (response.status, response.content_type) == (200, "text/html")
    assert re.findall(r"(?:https?:)?//[\w.-]+", page) == []
    loaded = [urljoin(path, address) for address in re.findall(r"""(?:src|href)=["']([^"']+)["']""", page)]
    assert len(loaded) >= 4
    for address in loaded:
        async with running.http.get(address) as response:
            assert response.status == 200, address
            content = await response.read()
            assert content
    assert b'"openapi.json"' in content  # the last one is the script that starts the page


async def test_a_service_without_a_home_page_links_to_none(running):
    """Outside the demo the pages link to each other only: `/` would be a problem."""
    async with running.http.get(PROBLEMS) as response:
        links = re.search(r"<nav.*?</nav>", await response.text())[0]
    assert re.findall(r'href="([^"]+)"', links) == ["../docs", "../redoc", "../docs/problems"]


@pytest.mark.parametrize("path", [*PAGES, PROBLEMS])
async def test_the_docs_policy_allows_only_files_of_this_service(running, path):
    """A page's policy starts with 'none' and allows scripts and requests to this service only."""
    async with running.http.get(path) as response:
        [policy] = response.headers.getall("Content-Security-Policy")
    directives = {name: values for name, *values in (part.split() for part in policy.split(";"))}
    for name in ("default-src", "base-uri", "form-action", "frame-ancestors"):
        assert directives[name] == ["'none'"]
    for name in ("script-src", "connect-src"):
        assert directives[name] == ["'self'"]
    assert "http" not in policy
    assert "*" not in policy


async def test_redoc_loads_no_external_logo(running):
    """The one URL that ReDoc would fetch by itself is not in the served script, which stays valid."""
    async with running.http.get("/docs/assets/redoc.standalone.js") as response:
        script = await response.text()
        assert response.content_type == "text/javascript"
    assert "cdn.redoc.ly" not in script
    assert 'src:"data:,"' in script


async def test_other_responses_may_load_nothing(running):
    """The policy of API responses, problems and files allows nothing, and no page may frame them."""
    for target in ("/livez", "/nothing", "/openapi.json", "/v1/verifications/x", "/docs/assets/docs.js"):
        _, _, headers = await running.call("GET", target)
        assert headers.getall("Content-Security-Policy") == ["default-src 'none'; frame-ancestors 'none'"], target


async def test_the_docs_can_be_disabled(start, expect):
    """`OTP_DOCS=false` removes the pages, files and document, and leaves the API unchanged."""
    service = await start(otp_docs=False)
    for path in (*PAGES, PROBLEMS, "/openapi.json", "/docs/assets/swagger-ui.css", "/docs/assets/redoc.standalone.js"):
        expect(await service.call("GET", path), 404, "not_found")
    await service.issue()


@pytest.mark.parametrize("code", CATALOGUE)
async def test_the_type_of_each_problem_leads_to_its_description(running, code):
    """A problem's `type` links to a section with its code, status, title, details and fix."""
    kind = CATALOGUE[code]
    address = urlsplit(HttpProblem(code).members["type"])
    assert (address.scheme, address.netloc, address.fragment) == ("", "", code)
    async with running.http.get(address.path) as response:
        page = await response.text()
        assert (response.status, response.content_type) == (200, "text/html")
    [section] = re.findall(rf'<section id="{re.escape(address.fragment)}">(.*?)</section>', page, re.DOTALL)
    text = html.unescape(re.sub(r"<[^>]+>", "", section))
    for said in (code, str(kind.status), kind.title, kind.fix.replace("`", "")):
        assert said in text
    for detail in EVERY_ENDING if code == "not_pending" else filter(None, [kind.detail]):
        assert detail in text


async def test_the_files_of_the_problems_page_are_served(running):
    """The page of problems loads its style and icon from this service, and links to the API's documentation."""
    async with running.http.get(PROBLEMS) as response:
        page = await response.text()
    addresses = [urljoin(PROBLEMS, one) for one in re.findall(r'href="([^"#:]+)"', page)]
    styles = [f"/docs/assets/{name}.css" for name in ("pages", "problems")]
    assert addresses == ["/docs/assets/favicon.png", *styles, *PAGES, PROBLEMS, "/docs"]
    for address in addresses:
        async with running.http.get(address) as response:
            assert response.status == 200, address


def test_a_fix_names_only_settings_that_exist():
    """Each setting that a fix names is a setting of the service."""
    named = {name for kind in CATALOGUE.values() for name in re.findall(r"\b(?:OTP|TWILIO)_[A-Z_]+", kind.fix)}
    assert named - {"OTP_LIMIT_"} <= {name.upper() for name in Settings.model_fields}
    assert len(named) > 5
