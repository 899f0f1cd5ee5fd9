"""The virtual phone answers and calls back, in a real Chromium, with a simulator and a receiver of its webhooks."""

import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest
import requests
from playwright.sync_api import expect

from service.sandbox import SandboxSettings
from tests.free_ports import free_port, wait_until_listening
from tests.pages.conftest import ROOT
from tests.pages.visitor import barriers, width_of

pytestmark = pytest.mark.slow
ACCOUNT = SandboxSettings()
NUMBER, OTHER = "+14155550171", "+14155550172"
WORDS = "Reply to this message with: maple river"
CALL = "Call +1 500 555 0006 and key in 482913."
QUESTION, SECOND, GOODBYE = "Key in the six digits from the message.", "Now the two from the screen.", "Goodbye."


def question(text, digits, action):
    """Return TwiML that asks for digits."""
    return (
        f'<Response><Gather numDigits="{digits}" timeout="300" action="{action}"><Say>{text}</Say></Gather></Response>'
    )


DOCUMENTS = {
    "/twilio/message": "<Response/>",
    "/twilio/voice": question(QUESTION, 6, "/second"),
    "/second": question(SECOND, 2, "/end"),
    "/end": f"<Response><Say>{GOODBYE}</Say></Response>",
}


@dataclass
class Service:
    """A receiver in the place of the service: its posts, and what it responds."""

    url: str = ""
    posts: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    documents: dict[str, str] = field(default_factory=dict)
    status: int = 200

    def fields(self, name):
        """Return one field of each post that has it, oldest first."""
        return [form[name] for _, form in self.posts if name in form]

    def wait(self, page, count):
        """Wait for so many posts: the phone shows a reply before the service has it."""
        while len(self.posts) < count:
            page.wait_for_timeout(20)


@contextmanager
def receiving(service):
    """Serve the receiver in a thread."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            service.posts.append((self.path, {name: values[0] for name, values in parse_qs(body).items()}))
            document = service.documents.get(self.path, "").encode()
            self.send_response(service.status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(document)))
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, *_):
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        service.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def both():
    """Run a simulator, and the receiver of its webhooks."""
    service, port = Service(), free_port()
    with receiving(service):
        command = [sys.executable, "-m", "service", "sandbox", "--port", str(port), "--service-url", service.url]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            assert wait_until_listening(process, port)
            yield service, f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture
def service(both):
    """Return the receiver, with nothing received."""
    both[0].posts.clear()
    both[0].documents = dict(DOCUMENTS)
    both[0].status = 200
    return both[0]


@pytest.fixture
def twilio(both):
    """Return the address of the simulator, with nothing recorded."""
    requests.delete(f"{both[1]}/_/messages", timeout=10)
    return both[1]


@pytest.fixture
def phone(page, service, twilio):
    """Open the phone; leave it before the simulator stops."""
    page.goto(f"{twilio}/phone")
    yield page
    page.goto("about:blank")


def text(twilio, body, *, to=NUMBER, sender=ACCOUNT.pool_number):
    """Let the account send a message."""
    create(twilio, "Messages", To=to, From=sender, Body=body)


def create(twilio, resources, **form):
    """Let the account send a message or call somebody."""
    url = f"{twilio}/2010-04-01/Accounts/{ACCOUNT.account_sid}/{resources}.json"
    response = requests.post(url, data=form, auth=(ACCOUNT.account_sid, ACCOUNT.auth_token), timeout=10)
    assert response.status_code == 201, response.text


def answer(phone, body):
    """Type a reply and send it."""
    phone.get_by_label("Reply to").fill(body)
    phone.get_by_role("button", name="Send").click()


def state(phone, sentence):
    """Wait until the call is in a state."""
    expect(phone.locator("#state")).to_have_text(sentence)


def test_a_message_is_answered_in_its_conversation(phone, service, twilio):
    """A reply goes to the sender of the message, appears below it, and reaches the service."""
    text(twilio, WORDS)
    answer(phone, "maple river garden")
    mine = phone.locator(".mine")
    expect(mine.locator(".bubble")).to_have_text("maple river garden")
    expect(mine.locator(".fate")).to_have_text("sent")
    expect(phone.get_by_label("Reply to")).to_be_empty()
    service.wait(phone, 1)
    [(path, form)] = service.posts
    assert (path, form["From"], form["To"]) == ("/twilio/message", NUMBER, ACCOUNT.pool_number)
    assert form["Body"] == "maple river garden"


def test_the_keyboard_sends_a_reply(phone, service, twilio):
    """Enter sends; an empty reply is not sent."""
    text(twilio, WORDS)
    field = phone.get_by_label("Reply to")
    field.press("Enter")
    field.fill("maple river")
    field.press("Enter")
    expect(phone.locator(".mine .fate")).to_have_text("sent")
    service.wait(phone, 1)
    assert service.fields("Body") == ["maple river"]


def test_nothing_can_be_answered_before_a_message_has_arrived(phone, twilio):
    """Without a message there is nobody to reply to, and a name receives no replies."""
    expect(phone.get_by_label("Reply to")).to_be_hidden()
    text(twilio, WORDS, sender="Acme")
    expect(phone.get_by_text("Acme is a name and receives no replies.")).to_be_visible()
    expect(phone.get_by_label("Reply to")).to_be_hidden()
    text(twilio, WORDS)
    expect(phone.get_by_label("Reply to")).to_be_visible()
    expect(phone.get_by_text("Acme is a name")).to_be_hidden()


def test_a_keyword_is_answered_by_twilio(phone, service, twilio):
    """After STOP the phone shows Twilio's automatic answer, and further messages are refused."""
    text(twilio, WORDS)
    answer(phone, "STOP")
    expect(phone.locator(".mine .bubble").last).to_contain_text("You have unsubscribed")
    with pytest.raises(AssertionError, match="21610"):
        text(twilio, WORDS)
    answer(phone, "START")
    expect(phone.locator(".mine .bubble").last).to_contain_text("You get messages from this sender again")
    text(twilio, "Hello again")


def test_a_message_like_a_passcode_says_that_it_was_filtered(phone, service, twilio):
    """Digits fail as at Twilio, and the phone says why; nothing reaches the service."""
    text(twilio, "Your code is 482913")
    answer(phone, "482913")
    expect(phone.locator(".mine")).to_contain_text("failed (30038): Twilio takes it for a passcode")
    assert service.posts == []


def test_a_reply_that_the_service_does_not_take_is_marked(phone, service, twilio):
    """If the webhook fails, the phone says so."""
    service.status = 500
    text(twilio, WORDS)
    answer(phone, "maple river")
    expect(phone.locator(".mine .fate")).to_have_text("The service did not take it (500).")


def test_a_reply_in_twiml_arrives_on_the_phone(phone, service, twilio):
    """What the service answers appears in the conversation."""
    service.documents["/twilio/message"] = "<Response><Message>Thanks</Message></Response>"
    text(twilio, WORDS)
    answer(phone, "maple river")
    expect(phone.locator(".message:not(.mine) .bubble").last).to_have_text("Thanks")


def test_a_conversation_is_still_there_after_reloading(phone, service, twilio):
    """The messages in both directions are in their order when the page opens."""
    text(twilio, WORDS)
    answer(phone, "maple river")
    expect(phone.locator(".mine .fate")).to_have_text("sent")
    phone.reload()
    expect(phone.locator("#number")).to_have_value(NUMBER)
    expect(phone.locator(".bubble")).to_have_text([WORDS, "maple river"])


def test_each_number_has_its_own_conversation(phone, service, twilio):
    """A reply belongs to the number that sent it, and goes to the sender of its messages."""
    text(twilio, WORDS)
    answer(phone, "maple river")
    expect(phone.locator(".mine")).to_have_count(1)
    text(twilio, "Hello", to=OTHER, sender="+14155550100")
    phone.locator("#number").select_option(OTHER)
    expect(phone.locator(".mine")).to_have_count(0)
    answer(phone, "Who is this?")
    expect(phone.locator(".mine")).to_have_count(1)
    service.wait(phone, 2)
    assert [(form["From"], form["To"]) for _, form in service.posts] == [
        (NUMBER, ACCOUNT.pool_number), (OTHER, "+14155550100"),
    ]  # fmt: skip


def test_a_number_in_a_message_is_called(phone, service, twilio):
    """The phone offers the number, shows what is said, and posts the digits in their order, keyed or typed."""
    text(twilio, CALL)
    phone.get_by_role("button", name="Call +1 500 555 0006").click()
    state(phone, "Key in 6 digits.")
    expect(phone.locator("#said li")).to_have_text([QUESTION])
    expect(phone.get_by_text("In the message: 482913")).to_be_visible()
    for digit in "482":
        phone.get_by_role("button", name=digit, exact=True).click()
    expect(phone.locator("#keyed")).to_have_text("482")
    phone.keyboard.type("913")
    state(phone, "Key in 2 digits.")
    expect(phone.locator("#keyed")).to_be_empty()
    phone.keyboard.type("42")
    state(phone, "The call has ended.")
    expect(phone.locator("#said li")).to_have_text([QUESTION, "482913", SECOND, "42", GOODBYE])
    assert service.fields("Digits") == ["482913", "42"]
    assert service.fields("From") == [NUMBER] * 3
    phone.get_by_role("button", name="Close").click()
    expect(phone.locator("#call")).to_be_hidden()
    expect(phone.get_by_role("button", name="Call +1 500 555 0006")).to_be_focused()


def test_the_sender_of_a_message_is_called_back(phone, service, twilio):
    """The button beside the reply calls the sender; hanging up ends the call."""
    text(twilio, WORDS)
    phone.get_by_role("button", name=f"Call {ACCOUNT.pool_number}").click()
    state(phone, "Key in 6 digits.")
    phone.get_by_role("button", name="Hang up").click()
    state(phone, "The call has ended.")
    assert [call["status"] for call in requests.get(f"{twilio}/_/calls", timeout=10).json()] == ["completed"]


def test_keys_wait_for_the_question(phone, service, twilio):
    """As long as nobody waits for digits, the keys are disabled and say so."""
    service.documents["/twilio/voice"] = '<Response><Pause length="60"/></Response>'
    text(twilio, CALL)
    phone.get_by_role("button", name="Call +1 500 555 0006").click()
    state(phone, "Connected")
    key = phone.get_by_role("button", name="5", exact=True)
    expect(key).to_have_attribute("aria-disabled", "true")
    key.click(force=True)
    expect(phone.locator("#keyed")).to_be_empty()


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ("<Response><Reject/></Response>", "Nobody answered."),
        ("<Response><Reject reason='busy'/></Response>", "Busy."),
    ],
)
def test_a_rejected_call_says_so(phone, service, twilio, document, sentence):
    """If the service rejects the call, nothing was said, and the call can be closed."""
    service.documents["/twilio/voice"] = document
    text(twilio, CALL)
    phone.get_by_role("button", name="Call +1 500 555 0006").click()
    state(phone, sentence)
    expect(phone.locator("#said li")).to_have_count(0)
    phone.get_by_role("button", name="Close").click()
    expect(phone.get_by_label("Reply to")).to_be_visible()


def test_a_call_to_a_number_of_others_says_why_not(phone, twilio, complaints):
    """A number in a message that the account does not have cannot be called."""
    text(twilio, "Call +44 7700 900123.")
    phone.get_by_role("button", name="Call +44 7700 900123").click()
    expect(phone.locator("#notice")).to_contain_text("it is no number of the account")
    expect(phone.locator("#call")).to_be_hidden()
    assert any("422" in complaint for complaint in complaints)
    complaints.clear()


def test_a_number_is_no_code(phone, twilio):
    """The digits of a number are not offered as a code, the code beside it is."""
    text(twilio, CALL)
    expect(phone.locator(".code")).to_have_text("482913")
    expect(phone.locator(".bubble .text")).to_have_text(CALL)


def test_whatsapp_has_a_thread_of_its_own(phone, service, twilio):
    """A message by WhatsApp is shown apart from those by SMS, is read at once, and cannot be answered."""
    text(twilio, WORDS)
    expect(phone.locator(".bubble .text")).to_have_text(WORDS)
    expect(phone.get_by_role("button", name="WhatsApp", exact=True)).to_be_hidden()
    template = {"ContentSid": ACCOUNT.templates["en"], "ContentVariables": '{"1": "731204"}'}
    create(twilio, "Messages", To=f"whatsapp:{NUMBER}", From=f"whatsapp:{ACCOUNT.pool_number}", **template)
    expect(phone.locator(".code")).to_have_text("731204")
    expect(phone.locator(".message")).to_have_count(1)
    expect(phone.locator(".fate")).to_have_text("read")
    expect(phone.get_by_label("Reply to")).to_be_hidden()
    phone.get_by_role("button", name="SMS", exact=True).click()
    expect(phone.locator(".bubble .text")).to_have_text(WORDS)
    expect(phone.get_by_label("Reply to")).to_be_visible()


def test_the_phone_rings(phone, service, twilio):
    """A call by the account rings; answered, it says its text and posts the key; declined, it is busy."""
    text(twilio, WORDS)
    document = question("Press any key to hear your code.", 1, f"{service.url}/end")
    create(twilio, "Calls", To=NUMBER, From=ACCOUNT.pool_number, Twiml=document)
    state(phone, "is calling …")
    expect(phone.locator("#partner")).to_have_text(ACCOUNT.pool_number)
    assert barriers(phone) == []
    phone.get_by_role("button", name="Answer", exact=True).click()
    state(phone, "Press a key.")
    expect(phone.get_by_role("button", name="Hang up")).to_be_focused()
    phone.keyboard.type("5")
    state(phone, "The call has ended.")
    expect(phone.get_by_role("log", name="What is said").locator("li")).to_have_text(
        ["Press any key to hear your code.", "5", GOODBYE]
    )
    phone.get_by_role("button", name="Close").click()
    create(twilio, "Calls", To=NUMBER, From=ACCOUNT.pool_number, Twiml=document)
    phone.get_by_role("button", name="Decline").click()
    expect(phone.locator("#notice")).to_have_text(f"You declined a call from {ACCOUNT.pool_number}.")
    expect(phone.get_by_label("Reply to")).to_be_visible()
    assert [call["status"] for call in requests.get(f"{twilio}/_/calls", timeout=10).json()] == ["completed", "busy"]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_conversation_and_call_are_usable_by_everybody(phone, service, twilio, scheme, width):
    """With replies, in a call and after it, axe reports nothing, and the page never scrolls sideways."""
    phone.emulate_media(color_scheme=scheme)
    phone.set_viewport_size({"width": width, "height": 800})
    text(twilio, CALL)
    for body in ("maple river garden", "482913", "STOP"):
        answer(phone, body)
        expect(phone.get_by_label("Reply to")).to_be_empty()
    expect(phone.locator(".mine")).to_have_count(3)
    assert barriers(phone) == []
    phone.get_by_role("button", name="Call +1 500 555 0006").click()
    state(phone, "Key in 6 digits.")
    phone.keyboard.type("48")
    assert barriers(phone) == []
    assert width_of(phone) <= width
    phone.get_by_role("button", name="Hang up").click()
    state(phone, "The call has ended.")
    assert barriers(phone) == []
