"""Creating, fetching and listing messages with Twilio's own library."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import aiohttp
import pytest
from twilio.base.exceptions import TwilioRestException

SERVICE = "MG" + "0a" * 16


async def test_a_created_message_is_queued(live):
    """A message from a number is queued, with a new SID, its segments counted and no error."""
    first, second = await live.send(), await live.send()

    assert re.fullmatch(r"SM[0-9a-f]{32}", first.sid)
    assert first.sid != second.sid
    assert (first.status, first.num_segments, first.error_code) == ("queued", "1", None)
    assert (first.to, first.from_, first.body) == (live.number, "+15005550006", "Your code is 123456")
    assert abs(first.date_created - datetime.now(UTC)) < timedelta(seconds=5)


async def test_a_messaging_service_accepts_before_it_picks_a_sender(live):
    """With a Messaging Service the status is accepted, the segments are "0" and the sender is set with `queued`."""
    message = await live.send(from_=None, messaging_service_sid=SERVICE)
    assert (message.status, message.num_segments, message.from_) == ("accepted", "0", None)

    [row] = await live.until("messages", lambda rows: rows[0]["status"] == "delivered")
    assert (row["from"], row["messaging_service_sid"]) == (live.settings.pool_number, SERVICE)
    later = await live.twilio().messages(message.sid).fetch_async()
    assert (later.num_segments, later.from_) == ("1", live.settings.pool_number)


async def test_create_returns_201_with_rfc_2822_dates_and_twilios_headers(live):
    """Create returns 201; dates are RFC 2822, and headers contain request id, duration and concurrency."""
    headers = {"Authorization": aiohttp.encode_basic_auth(live.settings.api_key, live.settings.api_secret)}
    form = {"To": live.number, "From": "+15005550006", "Body": "hello"}
    async with live.http.post(live.messages_url, data=form, headers=headers) as response:
        body = await response.json()

    assert response.status == 201
    assert parsedate_to_datetime(body["date_created"]).tzinfo is not None
    assert (body["date_sent"], body["direction"], body["num_media"]) == (None, "outbound-api", "0")
    assert (body["price"], body["price_unit"], body["error_code"], body["error_message"]) == (None, None, None, None)
    assert response.headers["Twilio-Concurrent-Requests"] == "1"
    assert re.fullmatch(r"RQ[0-9a-f]{32}", response.headers["Twilio-Request-Id"])
    assert float(response.headers["Twilio-Request-Duration"]) < 5


@pytest.mark.parametrize("pair", ["auth_token", "api_key"])
async def test_both_credential_pairs_are_accepted(live, pair):
    """The account SID with its auth token and the API key with its secret are both accepted."""
    known = live.settings
    user = (known.account_sid, known.auth_token) if pair == "auth_token" else (known.api_key, known.api_secret)
    message = await live.twilio(*user, known.account_sid).messages.create_async(
        to=live.number, from_="+15005550006", body="x"
    )
    assert message.sid.startswith("SM")


@pytest.mark.parametrize(
    "authorization",
    [None, "Basic", "Basic %%%", "Bearer abc", "Basic " + "eDp5", "Basic /w=="],
    ids=["none", "empty", "not base64", "other scheme", "wrong pair", "not text"],
)
async def test_wrong_credentials_get_401(live, authorization):
    """Without valid credentials nothing is recorded, and the response is Twilio's 20003 with its challenge."""
    headers = {"Authorization": authorization} if authorization else {}
    form = {"To": live.number, "From": "+15005550006", "Body": "x"}
    async with live.http.post(live.messages_url, data=form, headers=headers) as response:
        body = await response.json()

    assert response.status == 401
    assert (body["code"], body["status"], body["detail"]) == (20003, 401, "")
    assert body["more_info"] == "https://www.twilio.com/docs/errors/20003"
    assert response.headers["WWW-Authenticate"].startswith("Basic")
    assert await live.read("messages") == []


async def test_another_account_or_sid_gets_404(live):
    """A wrong account SID and an unknown message SID both get a 404 with 20404."""
    stranger = live.twilio(live.settings.api_key, live.settings.api_secret, "AC" + "1" * 32)
    for call in (
        stranger.messages.create_async(to=live.number, from_="+15005550006", body="x"),
        live.twilio().messages("SM" + "0" * 32).fetch_async(),
        live.twilio().messages("nonsense").fetch_async(),
    ):
        with pytest.raises(TwilioRestException) as refused:
            await call
        assert (refused.value.status, refused.value.code) == (404, 20404)


GOOD = {"To": "+15558675310", "From": "+15005550006", "Body": "hello"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"To": None}, 21604),
        ({"To": ""}, 21604),
        ({"Body": None}, 21602),
        ({"Body": ""}, 21602),
        ({"From": None}, 21603),
        ({"To": "5558675310"}, 21211),
        ({"To": "+0558675310"}, 21211),
        ({"To": "+1555867531012345"}, 21211),
        ({"To": "+15558675310\n"}, 21211),
        ({"From": "+"}, 21212),
        ({"From": "TwelveLetters"}, 21212),
        ({"MessagingServiceSid": "MG12"}, 21705),
        ({"Body": "x" * 1601}, 21617),
        ({"ValidityPeriod": "0"}, 21624),
        ({"ValidityPeriod": "36001"}, 21624),
        ({"ValidityPeriod": "soon"}, 21624),
        ({"ValidityPeriod": "²"}, 21624),
        ({"StatusCallback": "ftp://otp.example.com/"}, 21609),
        ({"StatusCallback": "/twilio/status"}, 21609),
        ({"StatusCallback": "https://under_score.example.com/"}, 21609),
        ({"StatusCallback": "https://otp.example.com:port/"}, 21609),
        ({"StatusCallback": "https://[::1/"}, 21609),
        ({"StatusCallback": "https://otp.example.com/a b"}, 21609),
        ({"ProvideFeedback": "True"}, 20422),
        ({"ProvideFeedback": "1"}, 20422),
        ({"RiskCheck": "off"}, 20422),
        ({"ContentRetention": "keep"}, 20422),
        ({"AddressRetention": "hide"}, 20422),
        ({"Attempt": "0"}, 20422),
        ({"From": "+15558675310"}, 21266),
        ({"ContentSid": "HX1", "Body": ""}, 21655),
        ({"ContentVariables": "{}"}, 21654),
        ({"ContentSid": "HX" + "0a" * 16, "ContentVariables": "1: x"}, 21656),
        ({"ContentSid": "HX" + "0a" * 16, "ContentVariables": "[]"}, 21656),
        ({"To": "+15005550001"}, 21211),
        ({"To": "+15005550002"}, 21612),
        ({"To": "+15005550003"}, 21408),
        ({"To": "+15005550004"}, 21610),
        ({"To": "+15005550009"}, 21614),
        ({"From": "+15005550001"}, 21212),
        ({"From": "+15005550007"}, 21606),
        ({"From": "+15005550008"}, 21611),
    ],
)
async def test_an_invalid_create_is_refused_with_twilios_code(live, changes, code):
    """A missing, malformed or magic parameter gets a 400 with Twilio's code in its envelope; nothing is recorded."""
    form = {name: value for name, value in (GOOD | changes).items() if value is not None}
    status, body = await live.post(form)

    assert (status, body["status"], body["code"]) == (400, 400, code)
    assert body["message"]
    assert await live.read("messages") == []


@pytest.mark.parametrize(
    "changes",
    [
        {"Body": "x" * 1600},
        {"ValidityPeriod": "36000"},
        {"ValidityPeriod": "1"},
        {"From": "MyBrand"},
        {"From": "12345"},
        {"Unheard": "of"},
        {"StatusCallback": "https://otp.example.com:8443/a?b=c#rc=2"},
        {"StatusCallback": "http://[::1]:9/"},
        {"ContentSid": "HX" + "0a" * 16, "Body": ""},
        {"ContentSid": "HX" + "0a" * 16, "ContentVariables": '{"1": "x"}', "Body": ""},
    ],
)
async def test_values_at_the_limits_are_accepted(live, changes):
    """Values at a limit, an unknown parameter, and a content template instead of a body are all accepted."""
    status, body = await live.post(GOOD | changes)
    assert (status, body["status"]) == (201, "queued")


async def test_only_forms_are_parsed(live):
    """A JSON body counts as no parameters at all."""
    headers = {"Authorization": aiohttp.encode_basic_auth(live.settings.account_sid, live.settings.auth_token)}
    async with live.http.post(live.messages_url, json=GOOD, headers=headers) as response:
        assert (response.status, (await response.json())["code"]) == (400, 21604)


async def test_every_parameter_of_the_create_can_be_read(live):
    """All parameters of the create are kept for tests to read."""
    message = await live.send(
        status_callback="http://127.0.0.1:9/s",
        validity_period=300,
        attempt=2,
        risk_check="disable",
        message_intent="otp",
        content_retention="discard",
        address_retention="obfuscate",
    )
    [row] = await live.read("messages")

    assert list(row)[:9] == [
        "sid", "to", "from", "body", "status", "provide_feedback", "outcome", "feedback_posts", "created_at",
    ]  # fmt: skip
    assert row["sid"] == message.sid
    assert row["provide_feedback"] is True
    assert (row["status_callback"], row["validity_period_seconds"], row["attempt"]) == ("http://127.0.0.1:9/s", 300, 2)
    assert (row["risk_check"], row["message_intent"]) == ("disable", "otp")
    assert (row["content_retention"], row["address_retention"]) == ("discard", "obfuscate")
    assert datetime.fromisoformat(row["created_at"]).tzinfo is not None


async def test_fetch_returns_the_current_status(live):
    """Fetch returns the current status, and when the message was sent."""
    sid = (await live.send()).sid
    await live.until("messages", lambda rows: rows[0]["status"] == "delivered")
    message = await live.twilio().messages(sid).fetch_async()
    assert (message.sid, message.status, message.price_unit) == (sid, "delivered", "USD")
    assert message.date_sent >= message.date_created


async def test_the_list_is_newest_first_and_filtered(live):
    """The list is newest first; To and DateSent filter it, and a message not yet sent has no DateSent."""
    other = "+447700900123"
    sids = [(await live.send()).sid, (await live.send(to=other)).sid, (await live.send()).sid]
    messages = live.twilio().messages
    await live.until("messages", lambda rows: all(row["status"] == "delivered" for row in rows))

    async def listed(**filters):
        return [message.sid for message in await messages.list_async(**filters)]

    hour = timedelta(hours=1)
    now = datetime.now(UTC)
    assert await listed() == sids[::-1]
    assert await listed(to=other) == [sids[1]]
    assert await listed(from_="+19999999999") == []
    assert await listed(to=live.number, date_sent_after=now - hour) == [sids[2], sids[0]]
    assert await listed(date_sent_after=now + hour) == []
    assert await listed(date_sent_before=now + hour) == sids[::-1]
    assert await listed(date_sent_before=now - hour) == []
    assert await listed(date_sent=now - 48 * hour) == []
    # Every SDK sends a date as midnight UTC, and means the whole day.
    days = {row["created_at"][:10] for row in await live.read("messages")} | {now.date().isoformat()}
    found = [await listed(date_sent=datetime.fromisoformat(f"{day}T00:00:00+00:00")) for day in sorted(days)]
    assert sorted(sid for day in found for sid in day) == sorted(sids)
    assert await listed(date_sent=datetime(2020, 1, 1, tzinfo=UTC)) == []

    await live.plan("callbacks", "late")
    fresh = (await live.send(to="+447700900999")).sid
    assert await listed(to="+447700900999", date_sent_before=now - hour) == []
    assert await listed(to="+447700900999") == [fresh]


async def test_the_list_is_paged(live):
    """Twilio's library finds every message across the pages."""
    sids = [(await live.send()).sid for _ in range(5)]
    assert [message.sid for message in await live.twilio().messages.list_async(page_size=2)] == sids[::-1]


async def test_a_malformed_date_is_refused(live):
    """A DateSent that is not a date gets a 400."""
    headers = {"Authorization": aiohttp.encode_basic_auth(live.settings.account_sid, live.settings.auth_token)}
    async with live.http.get(live.messages_url, params={"DateSent": "yesterday"}, headers=headers) as response:
        assert (response.status, (await response.json())["code"]) == (400, 20422)
    day = datetime.now(UTC).date().isoformat()
    async with live.http.get(live.messages_url, params={"DateSent": day}, headers=headers) as response:
        assert response.status == 200


async def test_an_unknown_path_or_method_gets_twilios_envelope(live):
    """An unknown resource gets a 404 or 405 with Twilio's error body."""
    async with live.http.post(live.messages_url.replace("Messages", "Conferences")) as response:
        assert (response.status, (await response.json())["code"]) == (404, 20404)
    async with live.http.put(live.messages_url) as response:
        assert (response.status, (await response.json())["code"]) == (405, 20004)
