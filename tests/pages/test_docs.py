"""The promises of `service.api.pages` in a real browser: both pages render offline, and “Try it” works.

The fixture `page` checks that their policies refuse nothing, nothing fails, and no request leaves this machine.
"""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.pages.visitor import barriers

NUMBER = "+14155550142"  # not the demo's own number, which cannot get another send for 30 seconds
pytestmark = pytest.mark.slow


def open_operation(page, name):
    """Expand an operation of Swagger UI; return its block."""
    block = page.locator(f"#operations-verifications-{name}")
    block.locator(".opblock-summary-control").click()
    return block


def execute(block, status):
    """Press Execute, wait for the status, and return the body of the response."""
    block.locator("button.execute").click()
    expect(block.locator(".live-responses-table tr.response td.response-col_status").first).to_contain_text(str(status))
    return json.loads(block.locator(".live-responses-table .highlight-code pre").first.inner_text())


def test_swagger_ui_shows_every_operation_in_the_order_of_the_document(page, demo):
    """`/docs` explains the flow and lists the operations in the order of the document."""
    document = page.request.get(f"{demo.url}/openapi.json").json()
    order = [
        f"{method.upper()} {path}"
        for tag in document["tags"]
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if tag["name"] in operation["tags"]
    ]
    assert "POST /v1/verifications/search" in order
    page.goto(f"{demo.url}/docs")
    expect(page.locator(".opblock")).to_have_count(len(order))
    shown = [
        f"{block.locator('.opblock-summary-method').inner_text()} {block.locator('.opblock-summary-path').inner_text()}"
        for block in page.locator(".opblock").all()
    ]
    assert [re.sub(r"[\s\u200b]+", " ", line).replace(" /", "/").replace("/", " /", 1) for line in shown] == order
    page.get_by_text("How it works").click()
    expect(page.locator(".info")).to_contain_text("Your back end sees approved itself")


def test_try_it_issues_and_verifies_with_the_printed_key(page, demo):
    """Authorize with the demo's key, issue, submit the code of the simulator's message: 201, then approved."""
    page.goto(f"{demo.url}/docs")
    page.locator("button.authorize").first.click()
    dialog = page.locator(".auth-container").filter(has_text="apiKey")
    dialog.locator("input").fill(demo.key)
    dialog.locator("button.authorize").click()
    page.locator("button.btn-done").first.click()

    issue = open_operation(page, "issueVerification")
    issue.locator("textarea.body-param__text").fill(json.dumps({"to": NUMBER}))
    issued = execute(issue, 201)
    messages = page.request.get(f"{demo.url}/sandbox/_/messages", params={"to": NUMBER}).json()
    [code] = re.findall(r"\b[0-9]{6}\b", messages[-1]["body"])

    verify = open_operation(page, "verifyCode")
    verify.locator("tr[data-param-name=verification_id] input").fill(issued["id"])
    verify.locator("textarea.body-param__text").fill(json.dumps({"code": code}))
    checked = execute(verify, 200)
    assert (checked["id"], checked["verdict"]) == (issued["id"], "approved")
    expect(verify.locator(".live-responses-table")).to_contain_text(re.compile(r"\d+ ms"))
    kept = page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
    assert demo.key not in kept


def test_a_try_without_a_key_shows_the_problem(page, demo, complaints):
    """Without Authorize the response is the 401 problem, and the browser's console contains nothing else."""
    page.goto(f"{demo.url}/docs#/verifications/readVerification")  # a deep link expands its operation
    problem = execute(page.locator("#operations-verifications-readVerification"), 401)
    assert problem["code"] == "unauthenticated"
    assert [complaint for complaint in complaints if "401" not in complaint] == []
    complaints.clear()


def test_redoc_renders_and_searches(page, demo):
    """`/redoc` names the operations, has samples in three languages, and finds an operation by a word."""
    page.goto(f"{demo.url}/redoc")
    expect(page.locator("h1").first).to_contain_text("otp-service")
    for summary in ("Issue a verification", "Check what the person typed", "Read a verification"):
        expect(page.locator("h2", has_text=summary)).to_be_visible()
    for language in ("curl", "Python", "JavaScript"):
        expect(page.get_by_role("tab", name=language).first).to_be_visible()
    page.get_by_placeholder("Search...").fill("resend")
    expect(page.locator("[data-role='search:results']")).to_contain_text("Send the next code")


def test_a_problem_leads_to_its_section(page, demo):
    """The address in the `type` of a problem opens the page of problems at the section of its code."""
    problem = page.request.get(f"{demo.url}/v1/nothing").json()
    page.goto(demo.url + problem["type"])
    section = page.locator("section:target")
    expect(section).to_contain_text(problem["title"])
    expect(section).to_be_in_viewport()


PAGES = {"/docs": ".opblock", "/redoc": "h2", "/docs/problems": "h2"}
OPENED = {**PAGES, "/docs#/verifications/issueVerification": ".opblock-body .response"}
FIRST = {"/docs": ".opblock", "/redoc": "[id='operation/issueVerification'] h2"}
# What is wrong in the markup of Swagger UI and of ReDoc: a button within a button, and headings that skip a level.
THEIR_OWN = {"nested-interactive", "heading-order", "aria-required-parent", "list", "aria-required-children"}


@pytest.mark.parametrize("path", OPENED)
def test_the_docs_fit_a_telephone(page, demo, path):
    """At 360 pixels no page is wider than the screen, also with an operation opened."""
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(demo.url + path)
    page.wait_for_selector(OPENED[path])
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", OPENED)
def test_the_docs_follow_the_system_and_can_be_read(page, demo, path, scheme):
    """In both colour schemes the ground is right, and axe finds nothing but the markup of the two libraries."""
    page.emulate_media(color_scheme=scheme)
    page.goto(demo.url + path)
    page.wait_for_selector(OPENED[path])
    page.evaluate("new Promise(requestAnimationFrame)")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 200) == (scheme == "dark")
    assert [barrier for barrier in barriers(page) if barrier.split(":")[0] not in THEIR_OWN] == []


def test_the_ground_is_dark_before_any_script_runs(page, demo):
    """Without scripts the pages are dark already: nothing flashes while they load."""
    page.emulate_media(color_scheme="dark")
    page.route("**/*.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    for path in PAGES:
        page.goto(demo.url + path)
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(28, 32, 34)"


@pytest.mark.parametrize("path", FIRST)
def test_the_first_operation_is_on_the_first_screen(page, demo, path):
    """At 1280 by 800 the first operation is in sight; what explains the API is folded, or comes later."""
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(demo.url + path)
    expect(page.locator(FIRST[path]).first).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("path", PAGES)
def test_each_page_leads_to_the_others_and_home(page, demo, path):
    """In the demo each page links to the login page, and to all pages of the docs, relative to itself."""
    for name, target in {"Home": "/", "API docs": "/docs", "Reference": "/redoc", "Problems": "/docs/problems"}.items():
        page.goto(demo.url + path)
        page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()
        expect(page).to_have_url(demo.url + target)
