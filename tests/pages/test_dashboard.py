"""The promises of the dashboard in a real browser, with the traffic of `demo --traffic`.

The fixture `page` checks that the content security policy refuses nothing, nothing fails, and no request leaves this
machine.
"""

import itertools
import os
import re

import pytest
import requests
from playwright.sync_api import expect

from tests.pages.conftest import FLAGS, chromium, running_demo
from tests.pages.visitor import barriers, width_of

pytestmark = pytest.mark.slow
MONTH, DAY = "?since=30d&tz=UTC", "?since=24h&tz=UTC"


@pytest.fixture(scope="module")
def busy():
    """Serve one demo with 30 days of traffic."""
    with running_demo("--traffic") as running:
        yield running


@pytest.fixture(scope="module")
def cookies(busy):
    """Sign in once, over HTTP: sign-ins are throttled."""
    headers = {"Sec-Fetch-Site": "same-origin"}
    response = requests.post(
        f"{busy.url}/dashboard/session", json={"api_key": busy.key}, headers=headers, timeout=30
    )  # fmt: skip
    return [{"name": name, "value": value, "url": busy.url} for name, value in response.cookies.items()]


@pytest.fixture
def dashboard(page, busy, cookies):
    """Open the dashboard as a signed-in operator, with the figures of a day."""
    page.context.add_cookies(cookies)
    page.goto(f"{busy.url}/dashboard{DAY}")
    expect(page.get_by_role("heading", name="Countries")).to_be_visible()
    return page


def figure(page, name):
    """Return the element of a figure at the top."""
    return page.locator(f'.figure[data-key="{name}"] .value')


def test_an_operator_signs_in_by_keyboard_and_sees_the_figures_of_the_api(page, busy, complaints):
    """A wrong key is refused in a sentence; after a right one the figures are those of the API; then sign out."""
    page.goto(f"{busy.url}/dashboard{MONTH}")
    page.get_by_label("API key").fill("otp_sk_wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("This API key is unknown or has been revoked.")
    complaints[:] = [text for text in complaints if "401" not in text]
    page.get_by_label("API key").fill(busy.key)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Funnel")).to_be_visible()
    address = f"{busy.url}/v1/reports/conversion{MONTH}"
    total = requests.get(address, headers={"Authorization": f"Bearer {busy.key}"}, timeout=30).json()["total"]
    assert total["sends"]["total"] > 100_000
    expect(figure(page, "Conversion rate")).to_have_text(f"{100 * total['conversion_rate']:.1f}%")
    funnel = page.get_by_role("region", name="Funnel, table")
    for name, count in (("Sent", total["sends"]["total"]), ("Delivered", total["delivery"]["delivered"])):
        expect(funnel.get_by_role("row", name=re.compile(f"^{name}")).locator(".strong")).to_have_text(f"{count:,}")
    assert busy.key not in page.content()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("alert")).to_have_text("You are signed out.")
    assert page.context.cookies() == []


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (360, "dark")])
def test_nothing_keeps_anybody_from_using_the_page(dashboard, width, scheme):
    """Axe finds no barrier, and nothing is wider than the screen: charts, tables, and the form to sign in."""
    dashboard.set_viewport_size({"width": width, "height": 900})
    dashboard.emulate_media(color_scheme=scheme)
    assert (barriers(dashboard), width_of(dashboard)) == ([], width)
    dashboard.get_by_role("button", name="Table").click()
    expect(dashboard.get_by_role("region", name="Sends as a table").get_by_role("row").nth(24)).to_be_attached()
    assert (barriers(dashboard), width_of(dashboard)) == ([], width)
    dashboard.context.clear_cookies()
    dashboard.reload()
    expect(dashboard.get_by_label("API key")).to_be_visible()
    assert (barriers(dashboard), width_of(dashboard)) == ([], width)


def test_a_chart_can_be_read_with_the_keyboard(dashboard):
    """The arrow keys choose what the chart shows and each point of it, and what is read is said."""
    dashboard.get_by_role("tab", name="Sends").focus()
    dashboard.keyboard.press("ArrowRight")
    expect(dashboard.get_by_role("tab", name="Rates")).to_be_focused()
    dashboard.get_by_role("img", name=re.compile("^Rates over time")).focus()
    dashboard.keyboard.press("End")
    dashboard.keyboard.press("ArrowLeft")
    expect(dashboard.locator("#said")).to_have_text(
        re.compile(r"^\w+, \w+ \d+, \d\d:00: Conversion .* \d+\.\d%, Delivery ")
    )
    expect(dashboard.locator(".legend .when")).not_to_have_text("Whole period")


def test_the_axis_of_times_is_even(dashboard, busy):
    """Each line of the chart of times has its exact time: what is as far apart as drawn is as far apart as said."""
    dashboard.add_init_script("""{
        const paint = CanvasRenderingContext2D.prototype.fillText;
        window.painted = [];
        CanvasRenderingContext2D.prototype.fillText = function (text, ...at) {
            window.painted.push(text);
            return paint.call(this, text, ...at);
        };
    }""")
    dashboard.goto(f"{busy.url}/dashboard{DAY}&country=FR")
    expect(dashboard.get_by_role("tab", name="Times")).to_be_visible()
    dashboard.evaluate("painted.length = 0")
    dashboard.get_by_role("tab", name="Times").click()
    dashboard.wait_for_function("painted.includes('0 s')")
    length = {"s": 1, "min": 60}
    said = [text.split() for text in dashboard.evaluate("painted") if re.fullmatch(r"[\d.]+ (s|min)", text)]
    times = sorted({float(number) * length[unit] for number, unit in said})
    assert len({later - earlier for earlier, later in itertools.pairwise(times)}) == 1, times


def test_filters_are_in_the_address(dashboard, busy):
    """A filter changes the address; who opens it sees the same, and the button Back goes back."""
    everything = figure(dashboard, "Sends").inner_text()
    dashboard.get_by_role("button", name="Germany").click()
    expect(dashboard.get_by_role("region", name="Countries, table").get_by_role("row")).to_have_count(2)
    assert dashboard.url.endswith(f"/dashboard{DAY}&country=DE")
    of_germany = figure(dashboard, "Sends").inner_text()
    assert of_germany != everything
    dashboard.reload()
    expect(figure(dashboard, "Sends")).to_have_text(of_germany)
    expect(dashboard.get_by_label("Country")).to_have_value("DE")
    dashboard.go_back()
    expect(figure(dashboard, "Sends")).to_have_text(everything)
    dashboard.goto(f"{busy.url}/dashboard{DAY}&purpose=nothing")
    expect(dashboard.get_by_role("heading", name="No sends in this period")).to_be_visible()
    dashboard.get_by_role("button", name="Clear the filters").click()
    expect(figure(dashboard, "Sends")).to_have_text(everything)


def test_no_table_is_cut(dashboard, busy):
    """At each usual width, what a table shows fits in: nothing has to be scrolled sideways to be read."""
    dashboard.goto(f"{busy.url}/dashboard{MONTH}")
    expect(dashboard.get_by_role("region", name="Unconverted sends, table")).to_be_visible()
    expect(dashboard.locator(".notices li").first).to_be_visible()  # what is loaded last is there
    for width in (1920, 1440, 1280, 1024, 768, 360):
        dashboard.set_viewport_size({"width": width, "height": 900})
        cut = "tables => tables.filter(table => table.scrollWidth > table.clientWidth).map(table => table.ariaLabel)"
        assert (width, dashboard.locator(".scroll").evaluate_all(cut)) == (width, [])


def test_an_hour_that_has_not_ended_is_said_to_be_partial(dashboard):
    """The last hour is marked as not complete, where it is read, and the lines over the figures end before it."""
    dashboard.get_by_role("img", name=re.compile("^Sends over time")).focus()
    dashboard.keyboard.press("End")
    expect(dashboard.locator(".legend .when")).to_have_text(re.compile(", partly$"))
    dashboard.keyboard.press("ArrowLeft")
    expect(dashboard.locator(".legend .when")).not_to_have_text(re.compile("partly"))


def test_an_address_with_a_mistake_leads_back(dashboard, busy, complaints):
    """Filters that cannot be are refused in a sentence, with a button that leads to figures."""
    dashboard.goto(f"{busy.url}/dashboard?tz=Nowhere/None")
    expect(dashboard.get_by_role("alert")).to_contain_text("The parameter tz is not valid.")
    dashboard.get_by_role("button", name="Reset the filters").click()
    expect(figure(dashboard, "Sends")).to_be_visible()
    assert dashboard.url == f"{busy.url}/dashboard"
    complaints.clear()  # of the 422


def test_a_browser_without_a_time_zone_shows_utc(browser, busy, cookies):
    """Where the browser does not know its time zone, the figures are shown in UTC."""
    unknown = os.environ | {"TZ": "Etc/Unknown"}
    launched = browser.browser_type.launch(executable_path=chromium(), args=FLAGS, env=unknown)
    page = launched.new_page()
    page.context.add_cookies(cookies)
    page.goto(f"{busy.url}/dashboard")
    expect(page.get_by_text("(UTC)")).to_be_visible()
    launched.close()


def test_a_broken_route_is_said_at_once(dashboard, busy):
    """What fails now is named whatever period is shown, with why, and what failed within the period too."""
    dashboard.goto(f"{busy.url}/dashboard{MONTH}")
    notices = dashboard.locator(".notices li")
    expect(notices.filter(has_text="France converts")).to_have_text(
        re.compile("within 24 hours, usually 8.*Most messages do not arrive")
    )
    expect(notices.filter(has_text="Latvia converts")).to_have_text(
        re.compile("in this period, usually [78].*SMS pumping")
    )
    dashboard.get_by_role("button", name="Look at France alone").click()
    expect(dashboard.get_by_label("Country")).to_have_value("FR")
    expect(dashboard.get_by_role("link", name="30003")).to_be_visible()


def test_the_page_stays_live_without_flicker(dashboard, complaints):
    """A refresh keeps every element and the focus; without answers the figures stay, marked as stale."""
    button = dashboard.get_by_role("button", name="Germany")
    button.evaluate("element => { element.isTheSame = true; }")
    button.focus()
    for blocked, notice in ((False, 0), (True, 1), (False, 0)):
        if blocked:
            dashboard.route("**/dashboard/**", lambda route: route.abort())
        with dashboard.expect_event("request", lambda request: "group_by=hour" in request.url):
            dashboard.evaluate("dispatchEvent(new Event('refresh'))")
        expect(dashboard.get_by_text("The service does not answer.")).to_have_count(notice)
        if blocked:
            dashboard.unroute_all()
    assert button.evaluate("element => element.isTheSame && document.activeElement === element")
    complaints.clear()  # of the requests that got no answer


def test_an_ended_session_leads_back_to_the_form(dashboard, cookies, complaints):
    """When the session has ended, the page asks to sign in again, and keeps the filters."""
    dashboard.context.clear_cookies()
    dashboard.evaluate("dispatchEvent(new Event('refresh'))")
    expect(dashboard.get_by_label("API key")).to_be_visible()
    expect(dashboard.get_by_role("alert")).to_contain_text("Your session has ended.")
    assert "since=24h" in dashboard.url
    complaints.clear()  # of the 401


def test_what_does_not_work_is_said_at_the_top(dashboard):
    """Halts, a missing worker and failed confirmations are named, and the title counts what is alarming."""
    failed = {"verification_id": "ve_0", "send": 1, "reason": "404", "tries": 1}
    outbox = {"pending": 1, "failed": 3, "oldest_seconds": 900, "awaiting_sid": 0, "halted": "halt", "is_worked": False}
    state = {
        "version": "0", "partitions_unavailable": 2, "fixes": ["Redis refuses writes."], "sending_halted": "halt",
        "outbox": outbox, "failed": [{"sid": f"SM{number}", **failed} for number in range(3)],
    }  # fmt: skip
    dashboard.route("**/dashboard/state", lambda route: route.fulfill(json=state))
    dashboard.evaluate("dispatchEvent(new Event('refresh'))")
    notices = dashboard.locator(".notices li")
    for text in (
        "No messages are sent: halt.", "2 of 16 partitions of Redis do not work. Redis refuses writes.",
        "Confirmations wait: halt.", "No worker is alive", "3 confirmations were given up.",
        "The oldest confirmation has waited for 15 min.",
    ):  # fmt: skip
        expect(notices.filter(has_text=text)).to_have_count(1)
    expect(dashboard.get_by_role("button", name="Retry SM1")).to_be_visible()
    expect(dashboard).to_have_title("(5) Conversion · otp-service")  # with that of France
    dashboard.unroute_all()


def test_too_many_purposes_leave_the_figures_as_they_are(dashboard, complaints):
    """If callers made up more purposes than a report may have groups, only the choice of a purpose is missing."""
    refusal = {"status": 422, "json": {"code": "invalid_request", "detail": "It has more than 10000 groups."}}
    dashboard.route("**/dashboard/reports/conversion?*group_by=purpose*", lambda route: route.fulfill(**refusal))
    dashboard.reload()
    expect(dashboard.locator("select[name=country] option[value=FR]")).to_have_count(1)
    expect(dashboard.get_by_text("10000 groups")).to_have_count(0)
    dashboard.unroute_all()
    complaints[:] = [text for text in complaints if "422" not in text]


def test_an_operator_releases_a_number(dashboard):
    """The form says what it did, to a screen reader too."""
    dashboard.get_by_label("Release a number").fill("+1 415 555 0142")
    dashboard.get_by_role("button", name="Release", exact=True).click()
    expect(dashboard.locator("#said")).to_have_text("Nothing is stored about this number that could lock it.")
