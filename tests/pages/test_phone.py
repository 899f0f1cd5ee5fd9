"""The virtual phone in a real Chromium: messages arrive, their status is shown, faults are planned."""

import subprocess
import sys
from contextlib import contextmanager

import pytest
import requests
from playwright.sync_api import expect

from service.sandbox import SandboxSettings
from tests.free_ports import free_port, wait_until_listening
from tests.pages.conftest import ROOT, running_demo
from tests.pages.visitor import barriers, width_of

NUMBER, OTHER = "+13125550150", "+13125550151"
pytestmark = pytest.mark.slow


@pytest.fixture
def phone(page, demo):
    """Open the phone without planned faults."""
    requests.delete(f"{demo.url}/sandbox/_/faults", timeout=30)
    page.goto(f"{demo.url}/sandbox/phone")
    return page


def send(demo, to, **more):
    """Issue a verification as a back end does; return its id and code."""
    headers = {"Authorization": f"Bearer {demo.key}"}
    response = requests.post(f"{demo.url}/v1/verifications", json={"to": to, **more}, headers=headers, timeout=10)
    assert response.status_code == 201, response.text
    return response.json()["id"]


@contextmanager
def alone():
    """Run a simulator without the demo; return its address."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "service", "sandbox", "--port", str(port)], cwd=ROOT)
    try:
        assert wait_until_listening(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def verify(demo, verification_id, code):
    """Check a code as a back end does."""
    headers = {"Authorization": f"Bearer {demo.key}"}
    url = f"{demo.url}/v1/verifications/{verification_id}/verify"
    return requests.post(url, json={"code": code}, headers=headers, timeout=10).json()


def test_a_message_arrives_by_itself_and_shows_its_fate(phone, demo):
    """Without reloading, the message appears, is delivered, and is marked once Twilio has its confirmation."""
    verification_id = send(demo, NUMBER)
    code = phone.locator(".code")
    expect(code).to_be_visible()
    expect(phone.locator("#number")).to_have_value(NUMBER)
    expect(phone.locator(".fate")).to_have_text("delivered")
    assert verify(demo, verification_id, code.inner_text())["valid"]
    expect(phone.locator(".told")).to_have_text("✓ Twilio was told: confirmed")


def test_only_a_message_that_arrived_can_be_read(phone, demo):
    """On its way, and if it is not delivered, a message shows neither its text nor its code."""
    shown = set()
    phone.expose_function("note", lambda seen: shown.update([seen]))
    phone.evaluate("""new MutationObserver(() => note([...document.querySelectorAll(".message")].map((each) => [
        each.querySelector(".fate").textContent, Boolean(each.querySelector(".code"))]).join(";")))
        .observe(document.body, {childList: true, subtree: true})""")
    send(demo, "+13125550157")
    expect(phone.locator(".code")).to_be_visible()
    expect(phone.get_by_text("A message is on its way.")).to_be_hidden()
    assert "queued,false" in shown
    assert any(each.startswith("delivered") and each.endswith(",true") for each in shown)
    assert not {"queued,true", "sent,true"} & shown


def test_the_clock_and_the_messages_write_the_time_alike(phone, demo):
    """The clock in the bar has the form of the times at the messages."""
    send(demo, "+13125550158")
    expect(phone.locator(".code")).to_be_visible()
    form = "new Date(2026, 0, 1, 2, 5).toLocaleTimeString([], { timeStyle: 'short' })"
    phone.clock.set_fixed_time("2026-01-01T02:05:00")
    expect(phone.locator("#clock")).to_have_text(phone.evaluate(form))


def test_one_click_copies_the_code(phone, demo):
    """Below the message a labelled button copies the digits to the clipboard and confirms that."""
    phone.context.grant_permissions(["clipboard-read", "clipboard-write"])
    send(demo, "+13125550152")
    digits = phone.locator(".code").inner_text()
    phone.get_by_role("button", name=f"Copy code {digits}").click()
    expect(phone.locator("#notice")).to_have_text(f"Code {digits} copied.")
    assert phone.evaluate("navigator.clipboard.readText()") == digits


def twilio(demo, to, body):
    """Send any text through the simulator, as the service would; wait until it has arrived."""
    account = SandboxSettings()
    url = f"{demo.url}/sandbox/2010-04-01/Accounts/{account.account_sid}/Messages.json"
    form = {"To": to, "From": account.pool_number, "Body": body}
    sent = requests.post(url, data=form, auth=(account.account_sid, account.auth_token), timeout=30)
    assert sent.status_code == 201, sent.text
    return sent.json()["sid"]


def test_a_link_opens_in_a_tab_that_learns_nothing_of_the_phone(phone, demo):
    """Only the address is the link; tapping it opens a new tab, without referrer and without access to the phone."""
    twilio(demo, "+13125550170", f"Sign in to Acme: {demo.url}/livez?a=1. Not you? Ignore it.")
    link = phone.locator(".bubble").get_by_role("link")
    expect(link).to_have_text(f"{demo.url}/livez?a=1")
    expect(phone.locator(".bubble .text")).to_have_text(f"Sign in to Acme: {demo.url}/livez?a=1. Not you? Ignore it.")
    with phone.context.expect_page() as opened:
        link.click()
    opened.value.wait_for_load_state()
    assert opened.value.url == f"{demo.url}/livez?a=1"
    assert opened.value.evaluate("[window.opener, document.referrer]") == [None, ""]
    opened.value.close()


def test_only_web_addresses_are_links(phone, demo):
    """Other schemes stay text, whatever they contain."""
    text = "javascript:alert(1) data:text/html,x ftp://127.0.0.1/x www.example.com <a href=http://x.example>"
    twilio(demo, "+13125550171", text)
    expect(phone.locator(".bubble .text")).to_have_text(text)
    expect(phone.locator(".bubble").get_by_role("link")).to_have_count(0)


def test_a_scanner_can_open_the_link_first(phone, demo):
    """The simulator requests the link as scanners do, and the message shows with which result."""
    twilio(demo, "+13125550172", f"Sign in to Acme: {demo.url}/livez")
    phone.get_by_role("button", name="Let a scanner open it first").click()
    expect(phone.locator(".scanned")).to_have_text("A scanner opened the link: HEAD 200, GET 200")
    phone.reload()
    phone.locator("#number").select_option("+13125550172")
    expect(phone.locator(".scanned")).to_have_text("A scanner opened the link: HEAD 200, GET 200")


def test_a_scanner_opens_no_foreign_link(phone, demo, complaints):
    """A link to another machine is not opened, and the phone says so."""
    twilio(demo, "+13125550173", "Sign in to Acme: https://example.com/l/4")
    phone.get_by_role("button", name="Let a scanner open it first").click()
    expect(phone.locator("#notice")).to_have_text("This message has no link that the simulator may open.")
    assert all("status of 422" in complaint for complaint in complaints)
    complaints.clear()


def test_a_link_can_be_taken_to_another_browser(phone, demo):
    """A page cannot open another browser, so the phone copies the link and says where to open it."""
    phone.context.grant_permissions(["clipboard-read", "clipboard-write"])
    twilio(demo, "+13125550174", f"Sign in to Acme: {demo.url}/livez.")
    phone.get_by_role("button", name="Copy it for another browser").click()
    expect(phone.locator("#notice")).to_have_text("Link copied. Open it in another browser, or in a private window.")
    assert phone.evaluate("navigator.clipboard.readText()") == f"{demo.url}/livez"


def test_a_password_can_be_copied(phone, demo):
    """Groups of five letters and digits are a password, even if a group has only digits; no part of it is a code."""
    phone.context.grant_permissions(["clipboard-read", "clipboard-write"])
    twilio(demo, "+13125550175", "Your Acme password is 7KQ2M-12345-9XA. Do not share it.")
    expect(phone.locator(".code")).to_have_text("7KQ2M-12345-9XA")
    phone.get_by_role("button", name="Copy password 7KQ2M-12345-9XA").click()
    expect(phone.locator("#notice")).to_have_text("Password 7KQ2M-12345-9XA copied.")
    assert phone.evaluate("navigator.clipboard.readText()") == "7KQ2M-12345-9XA"


@pytest.mark.parametrize("width", [1280, 360])
def test_a_link_and_its_buttons_are_usable_by_everybody(phone, demo, width):
    """With a long link axe reports nothing, and the page never scrolls sideways."""
    phone.set_viewport_size({"width": width, "height": 800})
    twilio(demo, f"+13125550{176 + width % 7}", f"Sign in to Acme: {demo.url}/livez?{'x' * 90}")
    phone.get_by_role("button", name="Let a scanner open it first").click()
    expect(phone.locator(".scanned")).to_be_visible()
    assert barriers(phone) == []
    assert width_of(phone) <= width


def test_a_message_that_arrives_while_the_list_is_read_is_shown(page, demo):
    """A list that was read before a message arrived does not take the phone back to another number."""
    older, number, held = "+13125550186", "+13125550187", []
    send(demo, older)
    page.route("**/_/messages", lambda route: held.append((route, route.fetch())))
    page.goto(f"{demo.url}/sandbox/phone")
    while not held:
        page.wait_for_timeout(20)
    send(demo, number)
    expect(page.locator(".code")).to_be_visible()
    [(route, listed)] = held
    route.fulfill(response=listed)
    expect(page.locator(f"option[value='{older}']")).to_be_attached()  # the list has been read
    expect(page.locator("#number")).to_have_value(number)
    expect(page.locator(".code")).to_be_visible()


def test_the_text_of_a_message_is_in_one_piece(phone, demo):
    """The text is shown as it was sent, not divided by a button or a line break."""
    send(demo, "+13125550156")
    [message] = requests.get(f"{demo.url}/sandbox/_/messages", params={"to": "+13125550156"}, timeout=30).json()
    text = phone.locator(".bubble .text")
    expect(text).to_have_text(message["body"])
    assert text.locator("button").count() == 0


@pytest.mark.parametrize(
    ("to", "locale", "direction"),
    [("+13125550181", "he", "rtl"), ("+13125550182", "ar", "rtl"), ("+13125550183", "en", "ltr")],
    ids=["Hebrew", "Arabic", "English"],
)
def test_a_message_is_read_in_the_direction_of_its_language(phone, demo, to, locale, direction):
    """A text in Hebrew or Arabic begins on the right, also if its first characters are the digits of the code."""
    send(demo, to, locale=locale)
    text = phone.locator(".bubble .text").last
    expect(text).to_be_visible()
    expect(text).to_have_css("direction", direction)


def test_the_phone_leads_home_where_there_is_a_home(phone, demo):
    """The demo links to the login page; the frame inside it, and a simulator that runs alone, have no link."""
    phone.get_by_role("link", name="Demo").click()
    expect(phone.get_by_label("Your phone number")).to_be_visible()
    expect(phone.frame_locator("iframe").get_by_role("link")).to_have_count(0)
    with alone() as url:
        phone.goto(f"{url}/phone")
        expect(phone.get_by_text("No messages yet.")).to_be_visible()
        expect(phone.get_by_role("link")).to_have_count(0)
        phone.goto("about:blank")  # ends its stream before the simulator stops


def test_a_new_phone_is_empty(page):
    """Before the visitor has asked for a code, the demo's phone has no message, not even that of its own walk."""
    with running_demo() as fresh:
        page.goto(f"{fresh.url}/sandbox/phone")
        expect(page.get_by_text("No messages yet.")).to_be_visible()
        expect(page.locator("#number")).to_have_value("+14155550123")
        page.goto("about:blank")  # ends its stream before the demo stops


def test_several_numbers_each_have_their_thread(phone, demo):
    """The phone with a new message is selected; the others keep their messages."""
    send(demo, "+13125550153")
    expect(phone.locator(".message")).to_have_count(1)
    send(demo, OTHER)
    expect(phone.locator("#number")).to_have_value(OTHER)
    expect(phone.locator(".message")).to_have_count(1)
    phone.locator("#number").select_option("+13125550153")
    expect(phone.locator(".message")).to_have_count(1)
    phone.locator("#number").select_option("+61491570156")
    expect(phone.get_by_text("No messages yet.")).to_be_visible()


def test_messages_of_before_are_there_when_the_page_opens(phone, demo):
    """A phone that is opened later shows the earlier messages."""
    send(demo, "+13125550154")
    phone.reload()
    phone.locator("#number").select_option("+13125550154")
    expect(phone.locator(".message")).to_have_count(1)


def test_a_fault_is_planned_shown_used_up_and_ended(phone, demo):
    """A button plans a fault; the list shows it, drops it after use, and can be emptied."""
    planned = phone.locator("#planned")
    phone.get_by_role("button", name="Undelivered").click()
    expect(planned).to_have_text("Planned: Undelivered, once")
    send(demo, "+13125550155")
    expect(phone.locator(".fate .bad")).to_have_text("undelivered (30003)")
    expect(phone.locator(".bubble")).to_have_text("A message did not arrive (30003).")
    expect(planned).to_be_empty()
    phone.get_by_role("button", name="Report refused").click()
    expect(planned).to_have_text("Planned: Report refused, 3 times")
    phone.get_by_role("button", name="End all faults").click()
    expect(phone.get_by_text("No fault is planned: all goes well.")).to_be_visible()


def test_every_button_plans_what_the_simulator_knows(phone, demo):
    """The simulator accepts the fault of every button."""
    buttons = phone.locator("[data-plan]")
    for place in range(buttons.count()):
        buttons.nth(place).click()
        expect(phone.locator("#planned li")).to_have_count(place + 1)
    expect(phone.locator("#notice")).to_be_empty()
    requests.delete(f"{demo.url}/sandbox/_/faults", timeout=30)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_the_phone_is_usable_by_everybody(phone, demo, scheme, width):
    """Empty and with a message, axe reports nothing, and the page never scrolls sideways."""
    phone.emulate_media(color_scheme=scheme)
    phone.set_viewport_size({"width": width, "height": 800})
    assert barriers(phone) == []
    verification_id = send(demo, f"+13125550{160 + width % 7 + (10 if scheme == 'dark' else 0)}")
    verify(demo, verification_id, phone.locator(".code").inner_text())
    expect(phone.locator(".told")).to_be_visible()
    assert barriers(phone) == []
    assert width_of(phone) <= width


def test_axe_would_find_a_barrier(phone):
    """The accessibility check reports a barrier if there is one."""
    phone.evaluate("document.querySelector('label').remove()")
    assert any(found.startswith("select-name") for found in barriers(phone))
