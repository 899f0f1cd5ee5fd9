"""The Twilio gateway over real HTTP: the requests that it sends, and its result for each response of Twilio."""

import asyncio
import json
import logging
import traceback
from base64 import b64encode
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest

from service.core.sender import (
    AcceptedMessage,
    ConfirmForbidden,
    ConfirmPostponed,
    ConfirmRefused,
    OutgoingMessage,
    Refusal,
    SendPostponed,
    SendRefused,
    SendUnknown,
    Text,
)
from service.core.verification import Delivery
from service.providers.twilio.account import TwilioAccount
from service.providers.twilio.gateway import TwilioGateway, open_twilio
from tests.providers.twilio_recorder import SID, recording, refusing_proxy

ACCOUNT_SID = "AC" + "a" * 32
SERVICE_SID = "MG" + "b" * 32
PASSWORD = "the-auth-token-itself"
NUMBER = "+15558675310"
CODE = "493817"
VERIFICATION_ID = "ve_3" + "f" * 31
MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
FEEDBACK = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{SID}/Feedback.json"
NO_PORT = "http://127.0.0.1:1"  # tcpmux: no server listens on it
MESSAGE = OutgoingMessage(
    verification_id=VERIFICATION_ID,
    send_number=2,
    to=NUMBER,
    content=Text(f"{CODE} is your code & + ü"),
    validity_seconds=600,
)
QUEUED = json.dumps({"sid": SID, "status": "queued"}).encode()


@pytest.fixture
async def twilio():
    """Run a server that replaces Twilio."""
    async with recording() as recorder:
        yield recorder


@pytest.fixture
async def gateway(twilio):
    """Open a gateway to that server, with only the required settings."""
    async with open_twilio(account(twilio.url)) as opened:
        yield opened


def account(base_url, **fields):
    fields = {"from_number": "+15005550006"} | fields
    return TwilioAccount(
        **{"account_sid": ACCOUNT_SID, "username": ACCOUNT_SID, "password": PASSWORD, "base_url": base_url} | fields
    )


def envelope(code, status=400):
    """Return an error in the format of Twilio; its message contains a number and a code, which must not leak."""
    sentence = f"Unable to create record: {NUMBER} {CODE}"
    return json.dumps({"code": code, "message": sentence, "more_info": "https://…", "status": status}).encode()


async def failure_of(call):
    """Return the exception that a call raises, within ten seconds."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the callers check its type
        async with asyncio.timeout(10):
            await call
    return caught.value


# --- Requests -------------------------------------------------------------------------------------


async def test_send_on_the_wire(twilio):
    """A message is sent as one POST with ProvideFeedback=true and exactly the fields that are set."""
    everything = account(
        twilio.url,
        messaging_service_sid=SERVICE_SID,
        public_url="https://otp.example.com",
        risk_check="disable",
        content_retention="discard",
        address_retention="obfuscate",
    )
    async with open_twilio(everything) as gateway:
        assert await gateway.send(MESSAGE) == AcceptedMessage(SID, Delivery.QUEUED)
    (request,) = twilio.requests
    assert (request.method, request.path) == ("POST", MESSAGES)
    assert request.headers["Content-Type"].startswith("application/x-www-form-urlencoded")
    assert "ProvideFeedback=true" in request.body.split("&")
    assert request.form == {
        "To": NUMBER,
        "Body": f"{CODE} is your code & + ü",
        "MessagingServiceSid": SERVICE_SID,
        "ProvideFeedback": "true",
        "StatusCallback": f"https://otp.example.com/twilio/status/{VERIFICATION_ID}/2#rc=3&rp=ct,rt,5xx",
        "ValidityPeriod": "600",
        "Attempt": "2",
        "MessageIntent": "otp",
        "RiskCheck": "disable",
        "ContentRetention": "discard",
        "AddressRetention": "obfuscate",
    }


@pytest.mark.parametrize(
    ("usual", "sender", "field"),
    [
        ({"messaging_service_sid": SERVICE_SID}, "Rooster", "From"),
        ({"messaging_service_sid": SERVICE_SID}, "MG" + "7c" * 16, "MessagingServiceSid"),
        ({"from_number": "+15005550006"}, "MG" + "7c" * 16, "MessagingServiceSid"),
        ({"from_number": "+15005550006"}, "+14155550188", "From"),
    ],
)
async def test_a_message_with_a_sender_of_its_own(twilio, usual, sender, field):
    """A message that names its sender goes out from it alone, whatever the usual sender is."""
    async with open_twilio(account(twilio.url, **usual)) as gateway:
        await gateway.send(replace(MESSAGE, sender=sender))
    form = twilio.requests[0].form
    assert {name: form.get(name) for name in ("From", "MessagingServiceSid") if name in form} == {field: sender}


async def test_send_with_minimal_settings(twilio, gateway):
    """Unset options are not sent; without a Messaging Service the number is the sender."""
    await gateway.send(MESSAGE)
    assert twilio.requests[0].form == {
        "To": NUMBER,
        "Body": f"{CODE} is your code & + ü",
        "From": "+15005550006",
        "ProvideFeedback": "true",
        "ValidityPeriod": "600",
        "Attempt": "2",
        "MessageIntent": "otp",
    }


async def test_confirm_on_the_wire(twilio, gateway):
    """A confirmation is one POST of Outcome=confirmed to the Feedback of this message."""
    await gateway.confirm(SID)
    (request,) = twilio.requests
    assert (request.method, request.path, request.body) == ("POST", FEEDBACK, "Outcome=confirmed")


@pytest.mark.parametrize(
    ("public_url", "root"),
    [
        ("https://otp.example.com/", "https://otp.example.com"),
        ("https://example.com:8443/otp", "https://example.com:8443/otp"),
        ("https://example.com/otp/", "https://example.com/otp"),
    ],
)
async def test_status_callback(twilio, public_url, root):
    """The callback's path is appended to the public URL, whatever its prefix and trailing slash."""
    async with open_twilio(account(twilio.url, public_url=public_url)) as gateway:
        await gateway.send(MESSAGE)
    assert twilio.requests[0].form["StatusCallback"] == f"{root}/twilio/status/{VERIFICATION_ID}/2#rc=3&rp=ct,rt,5xx"


@pytest.mark.parametrize("username", [ACCOUNT_SID, "SK" + "c" * 32])
async def test_credentials(twilio, username):
    """The Auth Token or the API key is sent as HTTP Basic; the path contains the account SID in both cases."""
    async with open_twilio(account(twilio.url, username=username)) as gateway:
        await gateway.send(MESSAGE)
        await gateway.confirm(SID)
    expected = "Basic " + b64encode(f"{username}:{PASSWORD}".encode()).decode()
    assert [request.headers["Authorization"] for request in twilio.requests] == [expected, expected]
    assert [request.path for request in twilio.requests] == [MESSAGES, FEEDBACK]


async def test_base_url_with_a_path(twilio):
    """The base URL of a simulator may have a path."""
    async with open_twilio(account(twilio.url + "/sandbox/")) as gateway:
        await gateway.send(MESSAGE)
        await gateway.confirm(SID)
    assert [request.path for request in twilio.requests] == ["/sandbox" + MESSAGES, "/sandbox" + FEEDBACK]


async def test_no_cookies(twilio):
    """A cookie that a response sets is never sent back."""
    twilio.answers(201, QUEUED, headers={"Set-Cookie": "balancer=7"})
    # By name: an ordinary cookie jar stores no cookies for an IP address.
    async with open_twilio(account(twilio.url.replace("127.0.0.1", "localhost"))) as gateway:
        await gateway.send(MESSAGE)
        await gateway.send(MESSAGE)
    assert "Cookie" not in twilio.requests[1].headers


# --- Responses to a send --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "read"),
    [(30007, 30007), ("30007", 30007), (None, None), (0, None), (14155550123, None), (True, None), (30007.5, None)],
)
async def test_the_error_code_of_a_message_that_failed_at_once(twilio, gateway, written, read):
    """A 201 may report that the message has already failed: a valid error code is kept, any other value is not."""
    response = {"sid": SID, "status": "failed", "error_code": written}
    twilio.answers(201, json.dumps(response).encode())
    assert await gateway.send(MESSAGE) == AcceptedMessage(SID, Delivery.FAILED, read)


@pytest.mark.parametrize(
    ("word", "delivery"),
    [("accepted", Delivery.QUEUED), ("sent", Delivery.SENT), ("failed", Delivery.FAILED), ("new", Delivery.UNKNOWN)],
)
async def test_status_words(twilio, gateway, word, delivery):
    """Twilio's status is translated into ours; an MMS SID is accepted like an SMS SID."""
    sid = "MM" + "F" * 32
    twilio.answers(201, json.dumps({"sid": sid, "status": word}).encode())
    assert await gateway.send(MESSAGE) == AcceptedMessage(sid, delivery)


@pytest.mark.parametrize(
    ("status", "code", "refusal"),
    [
        (400, 21211, Refusal.INVALID_NUMBER),
        (400, 21214, Refusal.INVALID_NUMBER),
        (400, 21217, Refusal.INVALID_NUMBER),
        (400, 21408, Refusal.COUNTRY_NOT_ALLOWED),
        (403, 21408, Refusal.COUNTRY_NOT_ALLOWED),
        (400, 21610, Refusal.RECIPIENT_OPTED_OUT),
        (400, 21614, Refusal.NOT_A_MOBILE_NUMBER),
        (400, 21268, Refusal.NOT_A_MOBILE_NUMBER),
        (400, 21612, Refusal.CARRIER_REJECTED),
        (400, 21618, Refusal.CARRIER_REJECTED),
        (400, 30004, Refusal.CARRIER_REJECTED),
        (400, 30005, Refusal.CARRIER_REJECTED),
        (400, 30006, Refusal.CARRIER_REJECTED),
        (400, 30007, Refusal.CARRIER_REJECTED),
        (403, 30450, Refusal.BLOCKED),
        (403, 30453, Refusal.BLOCKED),
        (403, 60410, Refusal.BLOCKED),
        (401, 20003, Refusal.CREDENTIALS_REFUSED),
        (400, 20005, Refusal.CREDENTIALS_REFUSED),
        (403, 20008, Refusal.CREDENTIALS_REFUSED),
        (403, 20403, Refusal.CREDENTIALS_REFUSED),
        (404, 20404, Refusal.SENDER_MISCONFIGURED),
        (400, 21212, Refusal.SENDER_MISCONFIGURED),
        # These depend on recipient and sender: one country can cause them, so they must not alert the operator.
        (400, 21606, Refusal.CARRIER_REJECTED),
        (400, 21659, Refusal.CARRIER_REJECTED),
        (400, 21703, Refusal.CARRIER_REJECTED),
        (400, 30610, Refusal.CARRIER_REJECTED),
        (400, 30640, Refusal.CARRIER_REJECTED),
        # Calls: the account, the number called, its country, traffic pumping, our number.
        (403, 10001, Refusal.CREDENTIALS_REFUSED),
        (403, 10005, Refusal.CREDENTIALS_REFUSED),
        (400, 10005, Refusal.SENDER_MISCONFIGURED),
        (400, 13224, Refusal.INVALID_NUMBER),
        (400, 13225, Refusal.BLOCKED),
        (400, 13227, Refusal.COUNTRY_NOT_ALLOWED),
        (400, 21210, Refusal.SENDER_MISCONFIGURED),
        (400, 21215, Refusal.COUNTRY_NOT_ALLOWED),
        (400, 21216, Refusal.BLOCKED),
        (400, 21219, Refusal.SENDER_MISCONFIGURED),
        # WhatsApp: the number is not on it …
        (400, 63003, Refusal.INVALID_NUMBER),
        (400, 63024, Refusal.INVALID_NUMBER),
        # … the message is refused for this number …
        *((400, code, Refusal.CARRIER_REJECTED) for code in (63013, 63014, 63023, 63032, 63033)),
        # … or sender, template and account there are not set up.
        *((400, code, Refusal.SENDER_MISCONFIGURED) for code in (63001, 63002, 63005, 63007, 63008, 63015, 63016)),
        *((400, code, Refusal.SENDER_MISCONFIGURED) for code in (63019, 63020, 63021, 63022, 63025, 63027, 63028)),
        *((400, code, Refusal.SENDER_MISCONFIGURED) for code in (63029, 63030, 63031, 63040, 63041, 63042, 63049)),
        *((400, code, Refusal.SENDER_MISCONFIGURED) for code in (21654, 21655, 21656, 21910)),
        (400, 21608, Refusal.SENDER_MISCONFIGURED),
        (400, 21664, Refusal.SENDER_MISCONFIGURED),
        (400, 21609, Refusal.SENDER_MISCONFIGURED),
        (400, 21617, Refusal.SENDER_MISCONFIGURED),
        (404, 21701, Refusal.SENDER_MISCONFIGURED),
        (400, 30034, Refusal.SENDER_MISCONFIGURED),
        # Codes that Twilio does not define yet: permanent, by their range and then by the HTTP status.
        (400, 20999, Refusal.SENDER_MISCONFIGURED),
        (400, 21999, Refusal.SENDER_MISCONFIGURED),
        (400, 30999, Refusal.CARRIER_REJECTED),
        (400, 60999, Refusal.BLOCKED),
        (400, 63999, Refusal.SENDER_MISCONFIGURED),
        (400, 99999, Refusal.SENDER_MISCONFIGURED),
        (403, 99999, Refusal.CREDENTIALS_REFUSED),
    ],
)
async def test_refusals(twilio, gateway, status, code, refusal):
    """Each of Twilio's permanent error codes becomes one refusal with this code, after one POST."""
    twilio.answers(status, envelope(code, status))
    refused = await failure_of(gateway.send(MESSAGE))
    assert (type(refused), refused.refusal, refused.error_code) == (SendRefused, refusal, code)
    # As with confirmations: a 403 may concern only this message.
    assert refused.is_of_credentials is (refusal is Refusal.CREDENTIALS_REFUSED and status != 403)
    assert len(twilio.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 422])
@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b"[]", b'{"code": null}', b'{"code": 15558675310}'])
async def test_refusal_without_a_code(twilio, gateway, status, body):
    """A 4xx without a valid error code of Twilio is permanent, too, and concerns the operator."""
    twilio.answers(status, body)
    refused = await failure_of(gateway.send(MESSAGE))
    by_status = Refusal.CREDENTIALS_REFUSED if status in (401, 403) else Refusal.SENDER_MISCONFIGURED
    assert (type(refused), refused.refusal, refused.error_code) == (SendRefused, by_status, None)


async def test_problem_body(twilio, gateway):
    """An error in RFC 9457 format means the same as one in Twilio's older format; only the HTTP status counts."""
    problem = {"type": "https://…", "title": NUMBER, "status": 500, "code": 21610, "detail": NUMBER}
    twilio.answers(400, json.dumps(problem).encode(), headers={"Content-Type": "application/problem+json"})
    refused = await failure_of(gateway.send(MESSAGE))
    assert (type(refused), refused.refusal, refused.error_code) == (SendRefused, Refusal.RECIPIENT_OPTED_OUT, 21610)


@pytest.mark.parametrize(
    ("status", "code", "pause_seconds"),
    [
        *((429, 20429, None), (429, 99999, None), (400, 14107, 30), (400, 21611, 600), (400, 21730, 60)),
        *((429, 63017, 1), (429, 63018, 1), (400, 63018, 1), (429, 63119, 60), (400, 63010, 60), (400, 63012, 60)),
        (400, 10004, 5),  # too many calls at once
        # Daily limits: of the account, of a trial account, of a 10DLC campaign, of T-Mobile.
        *((429, 63038, 3600), (400, 30454, 3600), (400, 30023, 3600), (400, 30027, 3600)),
    ],
)
async def test_temporary_refusals(twilio, gateway, status, code, pause_seconds):
    """A temporary refusal is postponed by the pause of its error code, after one POST."""
    twilio.answers(status, envelope(code, status))
    postponed = await failure_of(gateway.send(MESSAGE))
    assert (type(postponed), postponed.retry_after_seconds) == (SendPostponed, pause_seconds)
    assert len(twilio.requests) == 1


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 12 ", 12),
        ("3601", 3600),
        ("9" * 18, 3600),
        ("9" * 400, None),
        ("Thu, 01 Jan 2015 00:00:30 GMT", 30),
        ("Thu, 01 Jan 2015 02:00:30 +0200", 30),
        ("Thursday, 01-Jan-15 00:00:30 GMT", 30),
        ("Thu, 01 Jan 2015 09:00:00 GMT", 3600),
        ("Wed, 31 Dec 2014 23:00:00 GMT", 0),
        ("Thu, 32 Foo 2015 00:00:30 GMT", None),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("nan", None),
        ("٣", None),
    ],
)
async def test_retry_after(twilio, gateway, retry_after, seconds):
    """Retry-After is used for both calls: seconds or a date by Twilio's clock, at most an hour, or None if invalid."""
    headers = {"Retry-After": retry_after, "Date": "Thu, 01 Jan 2015 00:00:00 GMT"}
    twilio.answers(429, envelope(20429, 429), headers=headers)
    assert (await failure_of(gateway.send(MESSAGE))).retry_after_seconds == seconds
    assert (await failure_of(gateway.confirm(SID))).retry_after_seconds == seconds


async def test_retry_after_replaces_our_default(twilio, gateway):
    """If Twilio sends Retry-After, it replaces our default pause for the error code."""
    twilio.answers(429, envelope(63017, 429), headers={"Retry-After": "9"})
    assert (await failure_of(gateway.send(MESSAGE))).retry_after_seconds == 9


AMBIGUOUS = [
    (500, b""),
    (500, envelope(20500, 500)),
    (500, envelope(21211, 500)),
    (503, envelope(20503, 503)),
    (504, b"<html>"),
    (302, QUEUED),
    (304, b""),
    (407, b""),
    (408, envelope(21211, 408)),
    (425, b""),
    (200, b""),
    (201, b"<html>fine</html>"),
    (201, b"\xff\xfe\x00"),
    (201, b"[]"),
    (201, b'"SM"'),
    (201, b"null"),
    (201, b"{}"),
    (201, b"[" * 100_000),
    (201, json.dumps({"sid": SID + "\n"}).encode()),
    (201, json.dumps({"sid": "VE" + SID[2:]}).encode()),
    (201, json.dumps({"sid": [SID]}).encode()),
]


@pytest.mark.parametrize(("status", "body"), AMBIGUOUS)
async def test_ambiguous_responses(twilio, gateway, status, body):
    """A response that does not say whether the message was sent is unknown, after one POST."""
    twilio.answers(status, body)
    assert type(await failure_of(gateway.send(MESSAGE))) is SendUnknown
    assert len(twilio.requests) == 1


@pytest.mark.parametrize("mode", ["hang", "reset", "cut_off"])
async def test_no_response_after_the_request(twilio, mode):
    """A timeout, a reset or half a response after the request was written is unknown, in time, after one POST."""
    twilio.answers(201, QUEUED, mode=mode)
    async with open_twilio(account(twilio.url, total_timeout_seconds=0.3)) as gateway:
        assert type(await failure_of(gateway.send(MESSAGE))) is SendUnknown
    assert len(twilio.requests) == 1


async def test_reset_of_a_kept_connection(twilio, gateway):
    """A reset on a reused connection is unknown, too: the transport does not repeat the POST."""
    await gateway.send(MESSAGE)
    twilio.answers(201, QUEUED, mode="reset")
    assert type(await failure_of(gateway.send(MESSAGE))) is SendUnknown
    assert len(twilio.requests) == 2


async def test_refusal_whose_body_breaks_off(twilio, gateway):
    """The status counts, even if the body is incomplete."""
    twilio.answers(429, b'{"code": 20429', mode="cut_off")
    assert type(await failure_of(gateway.send(MESSAGE))) is SendPostponed


async def test_no_server_listens():
    """A refused connection wrote nothing: the send is postponed, and so is the confirmation."""
    async with open_twilio(account(NO_PORT)) as gateway:
        assert type(await failure_of(gateway.send(MESSAGE))) is SendPostponed
        assert type(await failure_of(gateway.confirm(SID))) is ConfirmPostponed


async def test_full_pool(twilio):
    """Without a free connection in time nothing was written: the send is postponed, not unknown."""
    twilio.answers(201, QUEUED, mode="hang")
    timeout = aiohttp.ClientTimeout(total=0.6, connect=0.2)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1), timeout=timeout) as http:
        gateway = TwilioGateway(account(twilio.url), http)
        first, second = await asyncio.gather(failure_of(gateway.send(MESSAGE)), failure_of(gateway.send(MESSAGE)))
    assert (type(first), type(second)) == (SendUnknown, SendPostponed)
    assert len(twilio.requests) == 1


async def test_cancellation(twilio, gateway):
    """A cancelled call raises CancelledError, and the next call works."""
    twilio.answers(201, QUEUED, mode="hang")
    for call in (gateway.send(MESSAGE), gateway.confirm(SID)):
        twilio.arrived.clear()
        task = asyncio.create_task(call)
        await twilio.arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    twilio.answers(201, QUEUED)
    assert (await gateway.send(MESSAGE)).sid == SID


# --- Responses to a confirmation ------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204])
@pytest.mark.parametrize(
    "body", [b'{"outcome": "confirmed"}', b"", b"<html>", b"[]", b'{"date_created": "1 Jan 99999"}']
)
async def test_confirmed(twilio, gateway, status, body):
    """Any 2xx settles a confirmation, whatever the body."""
    twilio.answers(status, b"" if status == 204 else body)
    assert await gateway.confirm(SID) is None
    assert len(twilio.requests) == 1


async def test_confirmed_with_half_a_body(twilio, gateway):
    """A 2xx with an incomplete body settles the confirmation: only the status counts."""
    twilio.answers(200, b'{"outcome"', mode="cut_off")
    assert await gateway.confirm(SID) is None


@pytest.mark.parametrize(
    ("status", "body", "kind", "sentence"),
    [
        (400, envelope(20422), ConfirmRefused, "Twilio answered 400, error 20422"),
        (404, envelope(20404, 404), ConfirmRefused, "Twilio answered 404, error 20404"),
        (404, b"", ConfirmRefused, "Twilio answered 404"),
        (410, b"", ConfirmRefused, "Twilio answered 410"),
        (401, envelope(20003, 401), ConfirmForbidden, "Twilio answered 401, error 20003"),
        (403, envelope(20008, 403), ConfirmForbidden, "Twilio answered 403, error 20008"),
        (403, envelope(30007, 403), ConfirmForbidden, "Twilio answered 403, error 30007"),
        (403, b"", ConfirmForbidden, "Twilio answered 403"),
        (400, envelope(20005), ConfirmForbidden, "Twilio answered 400, error 20005"),
        (429, envelope(20429, 429), ConfirmPostponed, "Twilio answered 429, error 20429"),
        (400, envelope(20429), ConfirmPostponed, "Twilio answered 400, error 20429"),
        (402, b"", ConfirmPostponed, "Twilio answered 402"),
        (405, b"", ConfirmPostponed, "Twilio answered 405"),
        (405, envelope(20004, 405), ConfirmPostponed, "Twilio answered 405, error 20004"),
        (407, b"", ConfirmPostponed, "Twilio answered 407"),
        (409, envelope(20409, 409), ConfirmPostponed, "Twilio answered 409, error 20409"),
        (413, b"<html>", ConfirmPostponed, "Twilio answered 413"),
        (422, b"", ConfirmPostponed, "Twilio answered 422"),
        (451, b"<html>", ConfirmPostponed, "Twilio answered 451"),
        (418, envelope(20003, 418), ConfirmForbidden, "Twilio answered 418, error 20003"),
        (408, b"", ConfirmPostponed, "Twilio answered 408"),
        (425, b"", ConfirmPostponed, "Twilio answered 425"),
        (302, b"", ConfirmPostponed, "Twilio answered 302"),
        (500, envelope(20500, 500), ConfirmPostponed, "Twilio answered 500, error 20500"),
        (503, b"<html>", ConfirmPostponed, "Twilio answered 503"),
    ],
)
async def test_not_confirmed(twilio, gateway, status, body, kind, sentence):  # noqa: PLR0917 - fixtures and columns
    """The class says whether a failure is permanent, forbidden or temporary; the text has only status and code."""
    twilio.answers(status, body)
    failure = await failure_of(gateway.confirm(SID))
    assert (type(failure), str(failure)) == (kind, sentence)
    assert len(twilio.requests) == 1


async def test_retry_after_of_unavailable(twilio, gateway):
    """The Retry-After of a 503 is kept for a confirmation, which may be repeated."""
    twilio.answers(503, b"", headers={"Retry-After": "40"})
    assert (await failure_of(gateway.confirm(SID))).retry_after_seconds == 40


@pytest.mark.parametrize("mode", ["hang", "reset"])
async def test_confirmation_without_a_response(twilio, mode):
    """A timeout or a reset postpones a confirmation, in time, after one POST."""
    twilio.answers(200, mode=mode)
    async with open_twilio(account(twilio.url, total_timeout_seconds=0.3)) as gateway:
        assert type(await failure_of(gateway.confirm(SID))) is ConfirmPostponed
    assert len(twilio.requests) == 1


@pytest.mark.parametrize(
    "sid",
    ["", "SM", SID + "\n", SID + "/../x", SID[:-1], "sm" + SID[2:], "VE" + SID[2:], "SM" + "g" * 32, "SM" + "٣" * 32],
)
async def test_malformed_sid(twilio, gateway, sid):
    """A malformed Message SID never becomes part of a path: it is refused before any request."""
    failure = await failure_of(gateway.confirm(sid))
    assert (type(failure), str(failure)) == (ConfirmRefused, "illegible SID")
    assert twilio.requests == []


# --- No leaks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects(twilio, gateway, status):
    """A redirect is not followed, so no other host gets the credentials or the message."""
    async with recording() as elsewhere:
        twilio.answers(status, headers={"Location": elsewhere.url + MESSAGES})
        assert type(await failure_of(gateway.send(MESSAGE))) is SendUnknown
        assert type(await failure_of(gateway.confirm(SID))) is ConfirmPostponed
        assert elsewhere.requests == []


async def test_an_unused_part_of_a_response_may_be_malformed(twilio, gateway):
    """Only the SID and the status of Twilio's response are read: a malformed date does not lose the SID."""
    odd = {"sid": SID, "status": "queued", "date_created": "1 Jan 99999 00:00:00", "price": {}, "new": [1]}
    twilio.answers(201, json.dumps(odd).encode())
    assert await gateway.send(MESSAGE) == AcceptedMessage(SID, Delivery.QUEUED)


async def test_nothing_leaks(twilio, caplog):
    """No number, code or credential appears in a failure, its causes, its traceback or the log, at any level."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="twilio")
    responses = [
        (400, envelope(21211)),
        (403, envelope(20003)),
        (429, envelope(20429)),
        (500, envelope(20500)),
        *AMBIGUOUS,
    ]
    seen = [repr(account(twilio.url))]
    async with open_twilio(account(twilio.url, total_timeout_seconds=0.3)) as gateway:
        seen.append(repr(gateway))
        for status, body in [*responses, (201, NUMBER.encode())]:
            twilio.answers(status, body)
            seen += texts_of(await failure_of(gateway.send(MESSAGE)))
        for mode in ("hang", "reset"):
            twilio.answers(201, QUEUED, mode=mode)
            seen += texts_of(await failure_of(gateway.send(MESSAGE)))
            seen += texts_of(await failure_of(gateway.confirm(SID)))
        twilio.answers(401, envelope(20003, 401))
        seen += texts_of(await failure_of(gateway.confirm(SID)))
        seen.append(str(await gateway.check_credentials()))
    seen.append(caplog.text)
    basic = b64encode(f"{ACCOUNT_SID}:{PASSWORD}".encode()).decode()
    for secret in (NUMBER, NUMBER.strip("+"), CODE, PASSWORD, basic):
        assert not [text for text in seen if secret in text]


def texts_of(failure):
    """Return the texts of a failure and its causes, without the body that json's error keeps but never shows."""
    texts = ["".join(traceback.format_exception(failure))]
    link = failure
    while link is not None:
        texts += [str(link), repr(link), str(link.args), str({**vars(link), "doc": None})]
        link = link.__cause__ or link.__context__
    return texts


async def test_the_library_logs_nothing(twilio, gateway, caplog):
    """The library and its transport log nothing at INFO, whatever the level of the loggers."""
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.INFO, logger="twilio")
    await gateway.send(MESSAGE)
    await gateway.confirm(SID)
    assert [
        record for record in caplog.records if record.name.startswith(("twilio", "service", "aiohttp.client"))
    ] == []


async def test_the_check_names_the_host_that_it_called(twilio, monkeypatch):
    """The text contains the host that was called, with edge and region, not always api.twilio.com."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("https_proxy", NO_PORT)
    async with open_twilio(account(None, edge="sydney", region="au1")) as gateway:
        assert (await gateway.check_credentials()).startswith("https://api.sydney.au1.twilio.com gave no answer (")
    twilio.answers(401, '{"code": 20003}')
    async with open_twilio(account(twilio.url)) as gateway:
        assert (await gateway.check_credentials()).endswith(f" The address was {twilio.url}.")


async def test_a_host_of_an_edge_may_bypass_the_proxy(monkeypatch):
    """NO_PROXY is compared with the host that is called, including edge and region."""
    async with behind_a_proxy(monkeypatch) as heads:
        monkeypatch.setenv("no_proxy", "api.invalid.zz9.twilio.com")
        async with open_twilio(account(None, edge="invalid", region="zz9", total_timeout_seconds=1)) as gateway:
            await gateway.check_credentials()
    assert heads == []


# --- The host of Twilio ---------------------------------------------------------------------------


async def test_environment_of_the_library(twilio, monkeypatch):
    """TWILIO_EDGE, TWILIO_REGION and credentials in the environment do not override the account."""
    monkeypatch.setenv("TWILIO_EDGE", "sydney")
    monkeypatch.setenv("TWILIO_REGION", "au1")
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "another")
    async with open_twilio(account(twilio.url, edge="sydney", region="au1")) as gateway:
        await gateway.send(MESSAGE)
        await gateway.confirm(SID)
    assert [request.path for request in twilio.requests] == [MESSAGES, FEEDBACK]


@asynccontextmanager
async def behind_a_proxy(monkeypatch, *, user="", scheme="http://", **mode):
    """Run a proxy that refuses every request, and set it as HTTPS_PROXY."""
    async with refusing_proxy(**mode) as (address, heads):
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setenv("https_proxy", f"{scheme}{user}{address}")
        yield heads


@pytest.mark.parametrize(
    ("edge", "region", "host"),
    [
        (None, None, "api.twilio.com"),
        ("sydney", "au1", "api.sydney.au1.twilio.com"),
        ("sydney", None, "api.sydney.us1.twilio.com"),
        ("dublin", "ie1", "api.dublin.ie1.twilio.com"),
    ],
)
async def test_real_host_through_a_proxy(monkeypatch, edge, region, host):
    """The real Twilio is called at its edge and region, through HTTPS_PROXY; if the proxy refuses, nothing was sent."""
    monkeypatch.setenv("TWILIO_EDGE", "dublin")
    async with (
        behind_a_proxy(monkeypatch) as heads,
        open_twilio(account(None, edge=edge, region=region)) as gateway,
    ):
        assert type(await failure_of(gateway.send(MESSAGE))) is SendPostponed
        assert type(await failure_of(gateway.confirm(SID))) is ConfirmPostponed
    assert [head.split("\r\n")[0] for head in heads] == [f"CONNECT {host}:443 HTTP/1.1"] * 2
    assert b64encode(f"{ACCOUNT_SID}:{PASSWORD}".encode()).decode() not in "".join(heads)


@pytest.mark.parametrize("scheme", ["http://", ""])
async def test_proxy_with_a_password(monkeypatch, scheme):
    """The address of a proxy may lack its scheme and may contain a user and a password."""
    async with (
        behind_a_proxy(monkeypatch, user="me:secret@", scheme=scheme) as heads,
        open_twilio(account(None)) as gateway,
    ):
        await failure_of(gateway.send(MESSAGE))
    assert "Proxy-Authorization: Basic " + b64encode(b"me:secret").decode() in heads[0]


@pytest.mark.parametrize(
    "response",
    [b"", None, b"HTTP/1.1 200", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\ngarbage"],
    ids=["closed", "reset", "cut off", "no HTTP", "closed after 200", "no TLS after 200"],
)
async def test_a_proxy_that_ends_the_connection_has_sent_nothing(monkeypatch, response):
    """If a proxy fails on CONNECT, our request was not written: the send is postponed, not unknown."""
    async with behind_a_proxy(monkeypatch, response=response) as heads, open_twilio(account(None)) as gateway:
        for call, kind in ((gateway.send(MESSAGE), SendPostponed), (gateway.confirm(SID), ConfirmPostponed)):
            postponed = await failure_of(call)
            assert (type(postponed), str(postponed)) == (kind, "unreachable")
        assert "gave no answer" in await gateway.check_credentials()
    assert len(heads) == 3


async def test_no_proxy(monkeypatch):
    """A host in NO_PROXY is called without the proxy."""
    async with behind_a_proxy(monkeypatch) as heads, open_twilio(account("https://127.0.0.1:1")) as through:
        await failure_of(through.send(MESSAGE))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        async with open_twilio(account("https://127.0.0.1:1")) as past:
            await failure_of(past.send(MESSAGE))
    assert len(heads) == 1


async def test_environment_of_the_machine(twilio, monkeypatch, tmp_path):
    """Neither a proxy nor a .netrc of the machine affects calls to a simulator on loopback."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, NO_PORT)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with open_twilio(account(twilio.url)) as gateway:
        assert (await gateway.send(MESSAGE)).sid == SID


# --- Checking the credentials ---------------------------------------------------------------------


async def test_valid_credentials(twilio, gateway):
    """The check reads one message, which every kind of key may do, sends nothing, and reports nothing."""
    twilio.answers(200, b'{"messages": []}')
    assert await gateway.check_credentials() is None
    (request,) = twilio.requests
    assert (request.method, request.path, request.body) == ("GET", MESSAGES + "?PageSize=1", "")


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (
            401,
            envelope(20003, 401),
            "Twilio answered 401, error 20003: check TWILIO_ACCOUNT_SID with TWILIO_AUTH_TOKEN",
        ),
        (403, b"", "Twilio answered 403: check TWILIO_ACCOUNT_SID with TWILIO_AUTH_TOKEN"),
        (
            404,
            envelope(20404, 404),
            "Twilio answered 404, error 20404: check that TWILIO_ACCOUNT_SID and TWILIO_BASE_URL",
        ),
        (429, envelope(20429, 429), "Twilio answered 429, error 20429: this is temporary"),
        (503, b"", "Twilio answered 503: this is temporary"),
    ],
)
async def test_invalid_credentials(twilio, gateway, status, body, sentence):
    """The check reports the response of Twilio and the fix."""
    twilio.answers(status, body)
    assert (await gateway.check_credentials()).startswith(sentence)


async def test_check_without_a_response(twilio):
    """The check reports that no server is reachable, or that it does not respond in time."""
    twilio.answers(200, mode="hang")
    for place in (NO_PORT, twilio.url):
        async with open_twilio(account(place, total_timeout_seconds=0.3)) as gateway:
            assert (await gateway.check_credentials()).startswith(f"{place} gave no answer (")
