"""`<otp-code-input>` of `clients/web` in a real Chromium, without a service.

The tests serve the pages, with a policy that refuses inline styles and strings as markup. `test_login.py` and
`test_otp_client.py` test the field with a client.
"""

import pytest
from playwright.sync_api import expect

from tests.documents import ROOT
from tests.pages.visitor import barriers, width_of

pytestmark = pytest.mark.slow
URL = "http://127.0.0.1:18999"  # no server listens here: the tests respond
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; require-trusted-types-for 'script'"
NAME = "The code from the message"
WATCH = """
import { OtpCodeInput, webOTP, words } from "/otp.js";
globalThis.told = [];
for (const name of ["otp-complete", "submit"]) document.addEventListener(name, (event) => {
  event.preventDefault();
  told.push([event.type, event.detail?.code ?? new FormData(event.target).get("code")]);
});
Object.assign(globalThis, { webOTP, words });
"""
FORM = '<form><otp-code-input name="code"></otp-code-input><button>Sign in</button></form>'


@pytest.fixture
def show(page):
    """Return a function that shows a page with a field and returns its text box."""

    def shown(body=FORM, *, css="", direction="ltr"):
        html = (
            f'<!doctype html><html lang="en" dir="{direction}"><title>A field</title>'
            '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/page.css">'
            f'<script type="module" src="/watch.js"></script><main><h1>Sign in</h1>{body}</main></html>'
        )
        files = {
            "/": (html, "text/html"),
            "/watch.js": (WATCH, "text/javascript"),
            "/page.css": (f":root {{ color-scheme: light dark; background: Canvas }} {css}", "text/css"),
            "/otp.js": ((ROOT / "clients/web/otp.js").read_text("utf-8"), "text/javascript"),
            "/favicon.ico": ("", "image/x-icon"),
        }

        def answer(route):
            text, kind = files[route.request.url.removeprefix(URL).partition("?")[0]]
            headers = {"Content-Security-Policy": POLICY, "Content-Type": f"{kind}; charset=utf-8"}
            route.fulfill(body=text, headers=headers)

        page.route(f"{URL}/**", answer)
        page.goto(URL + "/")
        return page.get_by_role("textbox")

    return shown


def told(page):
    """Return the events that the field has sent to the page so far."""
    return page.evaluate("told")


def set_on_field(page, name, value):
    """Set a property of the field."""
    page.evaluate("([name, value]) => { document.querySelector('otp-code-input')[name] = value }", [name, value])


def test_the_field_is_one_named_text_box_for_one_time_codes(page, show):
    """The field has a label, `autocomplete="one-time-code"` and a numeric keyboard."""
    field = show()
    expect(field).to_have_count(1)
    expect(field).to_have_accessible_name(NAME)
    for name, value in {"autocomplete": "one-time-code", "inputmode": "numeric"}.items():
        expect(field).to_have_attribute(name, value)
    page.get_by_text(NAME).click()
    expect(field).to_be_focused()
    field = show('<otp-code-input label="Der Code" hint="Er hat sechs Ziffern."></otp-code-input>')
    expect(field).to_have_accessible_name("Der Code")
    expect(field).to_have_accessible_description("Er hat sechs Ziffern.")


def test_an_error_stands_at_the_field_and_is_announced(page, show):
    """An error is an alert, and the field is invalid and described by it; without an error it is neither."""
    field = show()
    set_on_field(page, "error", "Wrong code. 4 attempts left.")
    expect(page.get_by_role("alert")).to_have_text("Wrong code. 4 attempts left.")
    expect(field).to_have_accessible_description("Wrong code. 4 attempts left.")
    expect(field).to_have_attribute("aria-invalid", "true")
    set_on_field(page, "error", "")
    expect(field).not_to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description("")


@pytest.mark.parametrize(
    "text",
    [
        "Your code is 123456",
        "123 456",
        "\u200e123-456\u200f",
        "Route 66: 123456, until 12:30",
        "١٢٣٤٥٦",
        "\uff11\uff12\uff13\uff14\uff15\uff16",
    ],
)
def test_a_pasted_message_becomes_its_code(page, show, text):
    """Pasting a whole message, or digits of any script, puts the code into the field and sends one event."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    field = show()
    page.evaluate("(text) => navigator.clipboard.writeText(text)", text)
    field.focus()
    page.keyboard.press("Control+v")
    expect(field).to_have_value("123456")
    assert told(page) == [["otp-complete", "123456"]]


def test_a_phone_that_fills_the_field_in_completes_it(page, show):
    """A keyboard that suggests the code inserts all digits at once: there is one event with the code."""
    field = show()
    field.focus()
    page.context.new_cdp_session(page).send("Input.insertText", {"text": "123456"})
    expect(field).to_have_value("123456")
    field.dispatch_event("input")  # some browsers send it twice
    field.dispatch_event("change")
    assert told(page) == [["otp-complete", "123456"]]


def test_a_code_is_complete_at_its_length(page, show):
    """A code with a digit less or more is not complete; `length` sets the number of digits; each code is told once."""
    field = show('<otp-code-input length="8"></otp-code-input>')
    page.keyboard.press("Tab")
    page.keyboard.type("123456789")
    page.keyboard.press("Backspace")
    assert told(page) == [["otp-complete", "12345678"]]
    expect(field).to_have_value("12345678")


def test_no_event_is_sent_while_the_page_checks(page, show):
    """A busy field is read-only, shows that it is busy, and sends no second event until the page resets it."""
    field = show()
    set_on_field(page, "busy", value=True)
    expect(field).to_have_js_property("readOnly", value=True)
    expect(page.get_by_role("status")).to_have_text("Checking …")
    field.evaluate("(input) => { input.value = '123456'; input.dispatchEvent(new Event('input')); }")
    assert told(page) == []
    set_on_field(page, "busy", value=False)
    field.fill("123456")
    assert told(page) == [["otp-complete", "123456"]]


def test_the_field_takes_part_in_its_form(page, show):
    """The form gets plain digits, submits with Enter, refuses an empty required field, and resets and disables it."""
    field = show(FORM.replace("<otp", "<fieldset><otp").replace("</otp-code-input>", "</otp-code-input></fieldset>"))
    field.fill("١٢٣ ٤٥٦")
    field.press("Enter")
    assert told(page)[-1] == ["submit", "123456"]
    page.evaluate("document.querySelector('otp-code-input').setAttribute('required', '')")
    assert page.evaluate("document.forms[0].checkValidity()")
    set_on_field(page, "value", "٦٥٤ ٣٢١")
    assert page.evaluate("new FormData(document.forms[0]).get('code')") == "654321"
    page.evaluate("document.forms[0].reset()")
    expect(field).to_have_value("")
    assert not page.evaluate("document.forms[0].checkValidity()")
    page.evaluate("document.querySelector('fieldset').disabled = true")
    expect(field).to_be_disabled()
    assert page.evaluate("new FormData(document.forms[0]).get('code')") is None
    page.evaluate("document.querySelector('fieldset').disabled = false")
    set_on_field(page, "disabled", value=True)
    expect(field).to_be_disabled()


def test_the_keyboard_is_enough(page, show):
    """Tab reaches the field and then the form's button; `focus()` of the element focuses the field."""
    field = show()
    page.keyboard.press("Tab")
    expect(field).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Sign in")).to_be_focused()
    page.evaluate("document.querySelector('otp-code-input').focus()")
    expect(field).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_barrier_in_any_state(page, show, scheme):
    """Axe reports nothing for the states empty, busy, wrong and disabled, in both colour schemes and directions."""
    page.emulate_media(color_scheme=scheme)
    for direction in ("ltr", "rtl"):
        show(direction=direction)
        for name, value in (("busy", False), ("busy", True), ("error", "Wrong code."), ("disabled", True)):
            set_on_field(page, name, value)
            assert barriers(page) == [], (direction, name)


def test_on_a_page_from_right_to_left_the_digits_stay_left_to_right(page, show):
    """On an Arabic page label and error are on the right, and the digits keep their order."""
    field = show(direction="rtl", css="main { width: 400px }")
    set_on_field(page, "error", "Wrong code.")
    assert field.evaluate("(input) => getComputedStyle(input).direction") == "ltr"
    for text in (NAME, "Wrong code."):
        assert page.get_by_text(text).evaluate("(line) => getComputedStyle(line).direction") == "rtl"


def test_on_a_page_from_right_to_left_an_english_sentence_keeps_its_order(page, show):
    """An untranslated sentence on an Arabic page stands on the right, and its full stop is at its end."""
    show(direction="rtl", css="main { width: 400px }")
    set_on_field(page, "error", "Wrong code.")
    places = page.get_by_text("Wrong code.").evaluate("""(line) => [0, 10].map((at) => {
        const range = document.createRange();
        range.setStart(line.firstChild, at);
        range.setEnd(line.firstChild, at + 1);
        return range.getBoundingClientRect().left;
    })""")
    line = page.get_by_text("Wrong code.").bounding_box()
    assert places[0] < places[1]
    assert places[1] > line["x"] + line["width"] - 30


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_field_with_an_error_shows_it_while_it_has_the_focus(page, show, scheme):
    """With the focus, an invalid field looks different from a valid one: the outline leaves its red edge visible."""
    page.emulate_media(color_scheme=scheme)
    field = show(css="otp-code-input { --otp-error: rgb(255, 0, 0) }")
    field.focus()
    style = "(input) => { const s = getComputedStyle(input); return [s.borderColor, s.boxShadow, s.outlineOffset] }"
    assert field.evaluate(style)[1] == "none"
    set_on_field(page, "error", "Wrong code.")
    assert field.evaluate(style) == ["rgb(255, 0, 0)", "rgb(255, 0, 0) 0px 0px 0px 2px inset", "2px"]


@pytest.mark.parametrize(("width", "size"), [(640, "100%"), (360, "200%"), (320, "100%")])
def test_at_twice_the_size_nothing_is_cut_off(page, show, width, size):
    """At 200 % zoom (640 of 1280), with text twice as large, and at 320 pixels, all eight digits are visible."""
    page.set_viewport_size({"width": width, "height": 800})
    field = show('<otp-code-input length="8"></otp-code-input>', css=f":root {{ font-size: {size} }}")
    field.fill("12345678")
    set_on_field(page, "error", "We cannot reach the service. Check your connection and try again.")
    assert width_of(page) <= width
    assert field.evaluate("(input) => input.scrollWidth <= input.clientWidth")


@pytest.mark.parametrize("width", [1280, 360])
def test_temporary_texts_do_not_move_the_layout(page, show, width):
    """Neither a hint, a two-line error nor the busy state moves the content below the field; nothing is animated."""
    page.set_viewport_size({"width": width, "height": 800})
    show(css="main { max-width: 300px }")
    below = page.get_by_role("button", name="Sign in")
    place = below.bounding_box()
    for name, value in (("busy", True), ("busy", False), ("error", "That code is right, but it came too late.")):
        set_on_field(page, name, value)
        assert below.bounding_box() == place, name
    assert page.evaluate("document.getAnimations({ subtree: true }).length") == 0


def test_a_page_may_style_every_part(page, show):
    """Variables and `::part()` style label, input, hint, error and resend, under a policy without inline styles."""
    parts = ("label", "input", "hint", "error", "resend")
    rules = "".join(f"otp-code-input::part({part}) {{ text-indent: {n}px }} " for n, part in enumerate(parts, 1))
    show(css=f"{rules} otp-code-input {{ --otp-error: rgb(1, 2, 3); --otp-radius: 7px }}")
    style = "(part, name) => getComputedStyle(document.querySelector('otp-code-input').shadowRoot.querySelector(part))"
    for number, part in enumerate(parts, 1):
        assert page.evaluate(f"({style})('[part={part}]').textIndent") == f"{number}px"
    assert page.evaluate(f"({style})('[part=error]').color") == "rgb(1, 2, 3)"
    assert page.evaluate(f"({style})('[part=input]').borderRadius") == "7px"


def test_every_text_can_be_translated(page, show):
    """The texts set in `words` before the field is shown are displayed."""
    show("")
    page.evaluate("""() => {
        Object.assign(words, { label: "Der Code aus der Nachricht", checking: "Wird geprüft …" });
        document.querySelector("main").append(document.createElement("otp-code-input"));
    }""")
    expect(page.get_by_role("textbox")).to_have_accessible_name("Der Code aus der Nachricht")
    set_on_field(page, "busy", value=True)
    expect(page.get_by_role("status")).to_have_text("Wird geprüft …")


def test_waiting_for_a_message_ends_with_the_signal(page, show):
    """Chromium's own WebOTP waits, also after an empty form was submitted, and returns null once the signal aborts."""
    show()
    page.evaluate("""() => {
        globalThis.ended = new AbortController();
        const waits = webOTP({ signal: ended.signal });
        globalThis.waits = waits.then((code) => { globalThis.got = [code]; });
    }""")
    assert page.evaluate("globalThis.got") is None
    page.evaluate("document.forms[0].requestSubmit()")
    page.get_by_role("textbox").press("Enter")
    assert page.evaluate("globalThis.got") is None
    page.evaluate("ended.abort()")
    assert page.evaluate("waits.then(() => got)") == [None]


def test_what_stays_the_same_is_not_written_again(page, show):
    """A text that a browser has translated stays translated when the field is shown again; only news replaces it."""
    show()
    label = page.locator("[part=label]")
    label.evaluate("(node) => { node.textContent = 'Der Code aus der Nachricht' }")
    set_on_field(page, "error", "Wrong code.")
    page.get_by_role("alert").evaluate("(node) => { node.textContent = 'Falscher Code.' }")
    set_on_field(page, "disabled", value=True)
    assert label.inner_text() == "Der Code aus der Nachricht"
    assert page.get_by_role("alert").inner_text() == "Falscher Code."
    assert page.evaluate("document.querySelector('otp-code-input').error") == "Wrong code."
    set_on_field(page, "error", "Another.")
    expect(page.get_by_role("alert")).to_have_text("Another.")


def test_a_page_may_load_two_copies(page, show):
    """A second copy of the module loads, and leaves the element to the first."""
    show()
    assert page.evaluate("import('/otp.js?again').then(({ OtpProblem }) => new OtpProblem('over').message)") == (
        "This verification is over."
    )


def test_a_code_that_is_filled_in_again_is_not_told_again(page, show):
    """After an error the same code is told again only once the page has emptied the field."""
    field = show()
    field.fill("123456")
    set_on_field(page, "error", "Wrong code.")
    for text in ("", "123456"):
        field.fill(text)
    field.dispatch_event("input")
    assert told(page) == [["otp-complete", "123456"]]
    set_on_field(page, "value", "")
    field.fill("123456")
    assert told(page) == [["otp-complete", "123456"]] * 2


def test_a_message_that_the_browser_reads_gives_its_code(page, show):
    """If WebOTP returns a message, its code is returned; without WebOTP in the browser, null.

    No protocol delivers a message to a headless Chromium, so here its API is replaced.
    """
    show()
    page.evaluate(
        "() => { navigator.credentials.get = async ({ otp }) => ({ code: otp.transport[0] === 'sms' && '123456' }) }"
    )
    assert page.evaluate("webOTP()") == "123456"
    page.evaluate("() => { navigator.credentials.get = async () => { throw new DOMException('', 'NotAllowedError') } }")
    assert page.evaluate("webOTP()") is None
    page.evaluate("delete globalThis.OTPCredential")
    assert page.evaluate("webOTP()") is None
