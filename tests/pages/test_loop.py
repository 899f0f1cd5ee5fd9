"""The view of the loop and the phone next to it: the first impression, the times, and how faults are handled."""

import re
import time
from itertools import pairwise

import pytest
import requests
from playwright.sync_api import expect

from service.store.fields import RECORD, REQUEST, SEND
from tests.pages.conftest import ROOT
from tests.pages.visitor import FIRST_FAULT, Visitor, width_of

LEAD = (
    "You type the code. The service tells Twilio that this very message arrived. "
    "Twilio picks better routes for the next ones."
)
JARGON = re.compile(r"\b(HMAC|SID|digest|hash|outbox)\b")
WHAT_IT_IS = "otp-service is a self-hosted service that sends the codes of your login."
pytestmark = pytest.mark.slow


def number(end):
    """Return a number that no other test uses; +1 xxx 555 01xx is reserved for fiction."""
    return f"+1347555{end:04}"


@pytest.fixture
def visitor(page, demo):
    """Open the login page; no fault is planned, before or after."""
    requests.delete(f"{demo.url}/sandbox/_/faults", timeout=30)
    yield Visitor(page, demo.url).open()
    requests.delete(f"{demo.url}/sandbox/_/faults", timeout=30)


def seconds(page, step):
    """Return the time that a step shows."""
    amount, unit = page.locator(f'[data-step="{step}"] .time').inner_text().split()
    return float(amount) * {"ms": 0.001, "s": 1}[unit]


def box(locator):
    """Return the position and size of a visible element."""
    expect(locator).to_be_visible()
    return locator.bounding_box()


@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_begins_with_what_the_service_is_for(visitor, width):
    """A sentence says what this is, and the first heading what it is for, without jargon before or next to it."""
    page = visitor.page
    page.set_viewport_size({"width": width, "height": 640})
    visitor.says(WHAT_IT_IS)
    lead = page.get_by_role("heading", level=1)
    assert re.sub(r"\s+", " ", lead.text_content()).strip() == LEAD
    assert box(lead)["y"] + box(lead)["height"] < 320
    assert page.locator(".story h3").all_inner_texts() == ["You", "The service", "Twilio"] * 2
    visitor.sign_in_form(number(100 + width % 7))
    visitor.sees("delivered")
    visitor.code_field.fill(visitor.codes(number(100 + width % 7))[0])
    visitor.sees("learned")
    assert JARGON.findall(page.locator("body").inner_text()) == []


def test_every_field_of_the_record_is_named_in_words(visitor):
    """“Details” shows no short field name, and the script of the page contains none."""
    visitor.sign_in_form(number(102))
    visitor.sees("delivered")
    visitor.page.get_by_text("Details").click()
    names = visitor.page.locator("#record dt").all_inner_texts()
    assert {"status", "phone number, encrypted", "Message SID of message 1", "reference of the caller"} <= set(names)
    short = {field.key.rstrip(":") for field in (*RECORD, *REQUEST, *SEND)}
    assert short.isdisjoint(name.partition(":")[0] for name in names)
    script = (ROOT / "service" / "demo" / "pages" / "loop.js").read_text("utf-8")
    spelled = "|".join(field.key.rstrip(":") for field in (*RECORD, *REQUEST, *SEND) if field.key != "to")
    assert re.findall(rf"""["'`](?:{spelled}):?(?:["'`]|\$)|(?:record|fields)\??\.""", script) == []


def test_times_are_on_one_clock(visitor):
    """Each time counts from when the code of this message was stored, so that later events show later times."""
    visitor.plan("Slow")
    visitor.sign_in_form(number(130))
    visitor.sees("delivered")
    times = [seconds(visitor.page, step) for step in ("sent", "sid", "delivered")]
    assert times == sorted(times)
    assert times[0] >= 3, "Twilio took 3 s to answer"
    expect(visitor.resend).to_be_enabled(timeout=20_000)
    started = time.monotonic()
    visitor.resend.click()
    visitor.reads("sent", "This is message 2 of 2.")
    visitor.sees("delivered")
    assert 0 < seconds(visitor.page, "delivered") <= time.monotonic() - started
    visitor.code_field.fill(visitor.codes(number(130))[0])
    visitor.sees("confirmed")
    visitor.reads("sent", "This is message 1 of 2.")
    times = [seconds(visitor.page, step) for step in ("sent", "sid", "delivered", "approved", "confirmed")]
    assert times == sorted(times)
    assert times[3] > 5, "the first code was typed after the resend"
    visitor.reads("approved", "The check took")


@pytest.mark.parametrize(
    ("end", "fault", "step", "sentence"),
    [
        (110, FIRST_FAULT, "sid", "its answer with the message's SID was lost. The status callback brought the SID."),
        (111, "Slow", "sid", "Twilio took 3 s to answer. The service waited."),
        (112, "Busy", "sent", "Twilio was busy (429), so nothing was sent. The service tried again"),
        (113, "Late reports", "delivered", "Twilio's status callbacks are 6 s late. The code worked meanwhile."),
        (114, "No reports", "delivered", "callbacks were lost. The typed code shows that the message arrived."),
        (115, "Report unanswered", "confirmed", "answer to the report was lost. The service sent the report again"),
        (116, "Report slow", "confirmed", "Twilio took 4 s to take the report. The service waited in the background"),
    ],
)
def test_how_a_fault_was_survived_stays_on_the_page(visitor, end, fault, step, sentence):
    """After the confirmation, a line at the affected step explains the fault and the recovery."""
    visitor.plan(fault)
    visitor.sign_in_form(number(end))
    visitor.code_field.fill(visitor.codes(number(end))[0])
    visitor.is_signed_in()
    learned = visitor.page.locator('[data-step="learned"]')
    expect(learned).to_have_attribute("data-state", "done", timeout=20_000)
    expect(visitor.page.locator(f'[data-step="{step}"] .recoveries')).to_contain_text(sentence, timeout=15_000)


def test_how_a_fault_was_survived_is_there_after_a_reload(visitor):
    """A page that is opened again still explains how the SID was recovered."""
    visitor.plan(FIRST_FAULT)
    visitor.sign_in_form(number(120))
    visitor.reads("sid", "The status callback brought the SID.")
    visitor.page.reload()
    visitor.reads("sid", "The status callback brought the SID.")


@pytest.mark.parametrize(
    ("end", "fault", "step", "sentence"),
    [
        (121, "Opted out", "sent", "Twilio refused the message (21610)."),
        (122, "Undelivered", "delivered", "The message could not be delivered (30003)."),
    ],
)
def test_a_permanent_fault_is_shown(visitor, complaints, end, fault, step, sentence):  # noqa: PLR0917 - fixtures and columns
    """A refused or undelivered message is shown as an error at its step, with the reason."""
    visitor.plan(fault)
    visitor.ask(number(end))
    visitor.sees(step, "trouble")
    visitor.sees("stored")
    visitor.reads(step, sentence)
    assert [complaint for complaint in complaints if "status of 422" not in complaint] == []
    complaints.clear()


@pytest.mark.parametrize(("end", "fault", "step"), [(131, "Hang", "sent"), (132, "Undelivered", "delivered")])
def test_no_line_about_a_fault_is_ahead_of_its_step(visitor, end, fault, step):
    """The line about a fault appears together with the trouble that it explains."""
    states = set()
    visitor.page.expose_function("note", lambda state: states.update([state]))
    look = """(name) => {
        const step = document.querySelector(`[data-step="${name}"]`);
        const look = () => step.querySelector(".recoveries li") && note(step.dataset.state);
        new MutationObserver(look).observe(step, { subtree: true, childList: true });
    }"""
    visitor.page.evaluate(look, step)
    visitor.plan(fault)
    visitor.ask(number(end))
    expect(visitor.phone.locator("#planned li")).to_have_count(0)  # it is under way
    requests.delete(f"{visitor.url}/sandbox/_/faults", timeout=30)  # ends a hang
    expect(visitor.page.locator(f'[data-step="{step}"] .recoveries li')).to_have_count(1)
    assert states == {"trouble"}


def test_the_phone_shows_nothing_before_the_visitor_asks(visitor):
    """On a new page the phone is empty, and has the number that the form suggests."""
    expect(visitor.phone.locator("#number")).to_have_value("+14155550123")
    visitor.sign_in_form(number(133))
    visitor.sees("delivered")
    visitor.open()
    visitor.page.evaluate("sessionStorage.clear()")
    visitor.open()
    expect(visitor.phone.locator("#number option")).not_to_have_count(4)
    expect(visitor.phone.locator(".message:not(.earlier)")).to_have_count(0)


def test_each_page_follows_its_own_number(visitor):
    """A second page with a login of its own does not change the phone of the first."""
    visitor.sign_in_form(number(134))
    other = Visitor(visitor.page.context.new_page(), visitor.url).open()
    other.sign_in_form(number(135))
    for one, end in ((visitor, 134), (other, 135)):
        one.sees("delivered")
        expect(one.phone.locator("#number")).to_have_value(number(end))
        expect(one.phone.locator(".code")).to_have_text(one.codes(number(end))[0])


@pytest.mark.parametrize("width", [740, 1179, 1180, 1700])
def test_the_columns_are_in_line_with_the_header(visitor, width):
    """At every width the header begins and ends where the columns do, and the phone is the large one."""
    page = visitor.page
    page.set_viewport_size({"width": width, "height": 900})
    title, links = box(page.locator(".top p")), box(page.locator(".top nav"))
    lead = box(page.locator(".lead"))
    columns = [box(page.locator(name)) for name in (".login", ".beside", ".loop")]
    assert min(column["x"] for column in columns) == pytest.approx(title["x"], abs=1) == pytest.approx(lead["x"], abs=1)
    right = max(column["x"] + column["width"] for column in columns)
    assert right == pytest.approx(links["x"] + links["width"], abs=1) == pytest.approx(lead["x"] + lead["width"], abs=1)
    expect(visitor.phone.locator(".bar")).to_be_visible()
    assert width_of(page) <= width


@pytest.mark.parametrize("width", [740, 1179])
def test_the_loop_stays_in_sight_of_the_faults(visitor, width):
    """In two columns, also with all faults unfolded, what happens begins right below the form, beside the phone."""
    page = visitor.page
    page.set_viewport_size({"width": width, "height": 900})
    visitor.phone.get_by_text("Fifteen more faults").click()
    login, loop, phone = (box(page.locator(name)) for name in (".login", ".loop", ".beside"))
    assert 0 < loop["y"] - login["y"] - login["height"] < 40
    assert loop["x"] + loop["width"] < phone["x"]
    assert [each.evaluate("e => e.scrollWidth - e.clientWidth") for each in page.locator(".story li").all()] == [0] * 15


def test_on_a_narrow_screen_the_newest_message_is_in_sight(visitor):
    """At 360 by 640, after a resend and the sign-in, the code, its button and its status are inside the phone."""
    page = visitor.page
    page.set_viewport_size({"width": 360, "height": 640})
    visitor.sign_in_form(number(136))
    visitor.sees("delivered")
    expect(visitor.resend).to_be_enabled(timeout=20_000)
    visitor.resend.click()
    expect(visitor.phone.locator(".code")).to_have_count(2)
    expect(visitor.phone.locator(".fate").last).to_have_text("delivered")
    visitor.code_field.fill(visitor.codes(number(136))[1])
    expect(visitor.phone.locator(".told")).to_be_visible()
    glass = box(visitor.phone.locator("#log"))
    for part in (".code", ".copy", ".told"):
        shown = box(visitor.phone.locator(part).last)
        assert shown["y"] >= glass["y"], part
        assert shown["y"] + shown["height"] <= glass["y"] + glass["height"], part


def test_the_phone_shows_no_old_message_as_the_new_one(visitor, demo):
    """While Twilio hangs, the phone of the number is selected, and its older message is marked as old."""
    visitor.sign_in_form(number(123))
    visitor.sees("delivered")
    visitor.page.get_by_role("button", name="Start again").click()
    visitor.page.wait_for_timeout(5000)  # the limit of the number
    visitor.plan("Hang")
    visitor.ask(number(123))
    expect(visitor.phone.get_by_text("Nothing new has arrived yet.")).to_be_visible()
    expect(visitor.phone.locator(".message.earlier")).to_have_count(1)
    visitor.reads("sent", "Waiting for Twilio.")
    expect(visitor.phone.locator("#planned li")).to_have_count(0)  # Twilio hangs
    requests.delete(f"{demo.url}/sandbox/_/faults", timeout=30)
    visitor.reads("sent", "Twilio gave no answer at all.")
    visitor.says("We cannot tell yet")
    visitor.page.get_by_role("button", name="Start again").click()
    visitor.sign_in_form(number(124))
    expect(visitor.phone.locator("#number")).to_have_value(number(124))
    expect(visitor.phone.locator(".message:not(.earlier)")).to_have_count(1)
    expect(visitor.phone.get_by_text("Nothing new has arrived yet.")).to_be_hidden()


def test_on_a_narrow_screen_the_code_is_in_sight_of_its_field(visitor):
    """At 360 by 640 field and code fit on one screen, and the phone comes before the explanation."""
    page = visitor.page
    page.set_viewport_size({"width": 360, "height": 640})
    visitor.sign_in_form(number(125))
    visitor.sees("delivered")
    code = box(visitor.phone.locator(".message .code"))
    assert box(visitor.code_field)["y"] >= 0
    assert code["y"] + code["height"] <= 640
    below = [box(page.locator(name))["y"] for name in ("#phone", ".loop", ".about")]
    assert below == sorted(below)


@pytest.mark.parametrize("width", [1280, 360])
def test_one_fault_is_offered_first_and_the_others_in_order(visitor, width):
    """The most instructive fault is shown first, fifteen are folded; unfolded, each is below the one before it."""
    visitor.page.set_viewport_size({"width": width, "height": 800})
    buttons = visitor.phone.locator("[data-plan]")
    expect(buttons).to_have_count(16)
    expect(visitor.phone.locator("[data-plan]:visible")).to_have_count(1)
    expect(visitor.phone.locator("[data-plan]:visible")).to_contain_text(FIRST_FAULT)
    visitor.phone.get_by_text("Fifteen more faults").click()
    boxes = [box(button) for button in buttons.all()]
    for before, after in pairwise(boxes):
        assert after["y"] >= before["y"] + before["height"]


def test_reduced_motion_is_respected(visitor):
    """With reduced motion, a message appears without animation."""
    visitor.page.emulate_media(reduced_motion="reduce")
    visitor.sign_in_form(number(126))
    expect(visitor.phone.locator(".message.arrives")).to_have_count(1)
    style = visitor.phone.locator(".message.arrives").evaluate("message => getComputedStyle(message).animationName")
    assert style == "none"
