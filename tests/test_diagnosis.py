"""The promises of `service.diagnosis`: each finding says how to fix it; nothing is changed or sent."""

import json
import re
from datetime import date
from pathlib import Path

import pytest

from service.app import open_redis
from service.config.policies import new_keyring
from service.config.settings import isolated_settings
from service.core.api_keys import Look, Scope, new_api_key
from service.core.limiter import Limiter, LimitPolicy
from service.core.limits import parse_limits
from service.core.prices import Budget, Money, read_prices
from service.diagnosis import examine, numbering_plans
from service.diagnosis.channels import channel_choices
from service.diagnosis.finding import Finding
from service.diagnosis.inbound import inbound_findings
from service.providers.twilio.gateway import open_twilio
from service.store.ledgers import RedisApiKeys, RedisLimits
from tests.providers.test_twilio_gateway import account
from tests.providers.test_twilio_inbound_urls import ROW
from tests.providers.twilio_recorder import recording

SERVICE = "MG" + "1b" * 16
SENT_BY_SERVICE = {"twilio_from": None, "twilio_messaging_service_sid": SERVICE}
LOCK = (Path(__file__).parent.parent / "uv.lock").read_text("utf-8")


def texts(findings, level):
    """Return the texts of one level."""
    return [finding.text for finding in findings if finding.level == level]


@pytest.fixture
def changed(running):
    """Return a function that examines the settings of the running service with some of them changed."""

    async def look(**changes):
        return await examine(running.settings.model_copy(update=changes))

    return look


async def test_a_complete_installation_has_no_error(changed, redis, eventually):
    """With valid settings, Redis and credentials there are only `ok` findings, and Redis stays unchanged."""
    assert await eventually(lambda: redis.exists("otp:worker"))  # heartbeat and newest key
    before = sorted(redis.keys())
    findings = await changed()
    assert texts(findings, "error") == []
    found = texts(findings, "ok")
    assert found[0] == "The settings are complete."
    assert found[-2:] == ["Twilio accepts the credentials.", "Twilio posts replies and calls to this service."]
    assert any(text.startswith("Redis answers (version ") for text in found)
    assert sorted(redis.keys()) == before


async def test_failed_confirmations_are_warned_about(changed, running, redis, eventually):
    """If confirmations have failed, a warning says how many, and names the command that lists them."""
    assert "outbox failed" not in " ".join(texts(await changed(), "warn"))
    plan = {"endpoint": "feedback", "kind": "not_found"}
    async with running.http.post(f"{running.sandbox_url}/_/faults", json=plan) as response:
        assert response.status < 300
    issued = await running.issue()
    await running.verify(issued["id"], running.codes()[0])
    assert await eventually(lambda: [key for key in redis.scan_iter("otp:*:failed") if redis.zcard(key)])
    warned = " ".join(texts(await changed(), "warn"))
    assert "Confirmations have failed for good (1): otp-service outbox failed says why." in warned


async def test_a_missing_worker_is_told(start, redis):
    """Without a worker `check` says what runs one. It warns if one must be started apart, or confirmations wait."""
    running = await start(otp_worker=False)

    async def told(level, **changes):
        return texts(await examine(running.settings.model_copy(update=changes)), level)

    assert "No worker is alive: otp-service serve runs one." in await told("ok", otp_worker=True)
    apart = "No worker is alive, and OTP_WORKER is false: run otp-service worker, or nothing is confirmed."
    assert apart in await told("warn")
    issued = await running.issue()
    await running.verify(issued["id"], running.codes()[0])
    waiting = "No worker is alive, and 1 confirmation waits: run otp-service serve or otp-service worker."
    assert waiting in await told("warn", otp_worker=True)
    redis.set("otp:worker", "1", ex=60)
    assert not [text for text in await told("warn") + await told("ok") if "No worker" in text]


@pytest.mark.parametrize(
    ("setting", "value", "sender"),
    [
        ("otp_countries_voice", ("US",), "TWILIO_VOICE_FROM"),
        ("otp_limit_voice", parse_limits("5/1h"), "TWILIO_VOICE_FROM"),
        ("otp_countries_whatsapp", ("US",), "TWILIO_WHATSAPP_FROM"),
        ("otp_limit_whatsapp", parse_limits("5/1h"), "TWILIO_WHATSAPP_FROM"),
        ("otp_whatsapp_minutes", 5, "TWILIO_WHATSAPP_FROM"),
        ("otp_whatsapp_feedback", True, "TWILIO_WHATSAPP_FROM"),
    ],
)
def test_a_setting_of_a_channel_without_a_sender_is_warned_about(setting, value, sender):
    """What is set for calls or WhatsApp has no effect without their sender; with it, or unset, nothing is said."""
    with_sender = {"twilio_whatsapp_templates": (("en", "HX" + "e" * 32),)} if "WHATSAPP" in sender else {}
    with_sender |= {sender.lower(): "+15005550006", "otp_public_url": "https://otp.example.com"}
    assert channel_choices(isolated_settings()) == []
    [found] = channel_choices(isolated_settings(**{setting: value}))
    assert found == Finding("warn", f"{setting.upper()} has no effect: {sender} is not set.")
    assert channel_choices(isolated_settings(**with_sender, **{setting: value})) == []


async def test_settings_that_risk_money_are_warned_about(changed):
    """Each limit that is off and each open endpoint is a warning that names its setting."""
    warned = " ".join(texts(await changed(otp_countries=(), otp_public_url=None), "warn"))
    for name in (
        "OTP_PUBLIC_URL", "OTP_REQUIRE_CLIENT_IP", "OTP_COUNTRIES", "OTP_LIMIT_NUMBER", "OTP_LIMIT_FAILED_CHECKS",
        "OTP_LIMIT_DAY",
    ):  # fmt: skip
        assert name in warned


async def test_the_use_of_the_budget_is_told(changed, running):
    """`check` tells how much of the budget is used, and warns when it is nearly used up or pays for no message."""
    prices = read_prices("currency,USD\n*,*,0.05\nUS,sms,0.04")
    budget = {"otp_prices": prices, "otp_budget_day": Money(10_000_000, "USD")}
    assert "Of the budget, 0 of 10 USD are used within 24 hours." in texts(await changed(**budget), "ok")
    limiter = Limiter(None, new_keyring(running.settings), LimitPolicy())
    async with open_redis(running.settings) as scripts:
        unit = limiter._budget_unit(Budget(10_000_000, prices), 8_000_000)
        assert [answer.wait_ms for answer in await RedisLimits(scripts).reserve([unit])] == [0]
    nearly = "The budget is nearly used up: 8 of 10 USD within 24 hours. Above it sends get 429."
    assert nearly in texts(await changed(**budget), "warn")
    small = {**budget, "otp_budget_day": Money(45_000, "USD"), "otp_countries": ("US", "DE")}
    assert "less than one message costs (sms to DE," in " ".join(texts(await changed(**small), "warn"))
    assert "OTP_PRICES is set without OTP_BUDGET_DAY" in " ".join(texts(await changed(otp_prices=prices), "warn"))


async def test_a_key_that_no_longer_fits_the_settings_is_an_error(changed, running):
    """Texts of a key that take more segments under the brand of today are an error that names the key."""
    own = '[country.IN]\ncode = "{code} ' + "x" * 140 + ' {brand}"'
    async with open_redis(running.settings) as scripts:
        kept = new_api_key("shop", [Scope.VERIFICATIONS], look=Look(texts=own))[1]
        await RedisApiKeys(scripts).add(kept.digest, kept.particulars)
    assert not [text for text in texts(await changed(otp_brand="Hen"), "error") if "shop" in text]
    [error] = [text for text in texts(await changed(otp_brand="Rooster and Hen"), "error") if "shop" in text]
    assert error.startswith("The API key shop: --texts: [country.IN] code: it takes 2 segments")
    assert error.endswith("Correct it with otp-service keys update.")


@pytest.fixture
def warned_about(changed):
    """Return a function that lists the settings with a warning when some defaults are changed."""
    plain = isolated_settings()
    limits = {name: getattr(plain, name) for name in type(plain).model_fields if name.startswith("otp_limit_")}

    async def look(**changes):
        findings = await changed(**limits | changes)
        return {text.split()[0] for text in texts(findings, "warn") if text.startswith("OTP_")}

    return look


async def test_the_defaults_leave_two_warnings(warned_about):
    """With the default limits the operator still has to choose a brand, and whether to require addresses."""
    assert await warned_about() == {"OTP_REQUIRE_CLIENT_IP", "OTP_BRAND"}
    assert await warned_about(otp_require_client_ip=True, otp_brand="Rooster") == set()


async def test_the_brand_of_the_example_is_warned_about(changed):
    """A brand of Acme, copied from `.env.example`, is warned about: people would get messages from a stranger."""
    [warning] = [text for text in texts(await changed(otp_brand="Acme"), "warn") if text.startswith("OTP_BRAND")]
    assert "Acme" in warning


async def test_test_numbers_are_warned_about(warned_about):
    """Fixed codes are an open endpoint, and are warned about."""
    chosen = {"otp_require_client_ip": True, "otp_brand": "Rooster"}
    assert await warned_about(**chosen, otp_test_numbers=(("+14155550100", "493027"),)) == {"OTP_TEST_NUMBERS"}


async def test_front_ends_behind_a_proxy_are_warned_about(warned_about):
    """Allowed origins without trusted proxies are warned about: behind a proxy all browsers would share one limit."""
    chosen = {"otp_require_client_ip": True, "otp_brand": "Rooster"}
    origins = ("https://app.example",)
    assert await warned_about(**chosen, otp_cors_origins=origins) == {"OTP_CORS_ORIGINS"}
    assert await warned_about(**chosen, otp_cors_origins=origins, otp_trusted_proxies=1) == set()


async def test_too_few_descriptors_are_warned_about(changed):
    """Settings that need more connections than the process may open are warned about, as `serve` does."""
    [warning] = [text for text in texts(await changed(otp_max_connections=60_000), "warn") if "files" in text]
    assert "LimitNOFILE" in warning


async def test_an_unreachable_redis_is_an_error_that_names_the_setting(changed):
    """An unreachable Redis is an error that names REDIS_URL; Twilio is still examined."""
    findings = await changed(redis_url="redis://user:p4ssw0rd@127.0.0.1:1")
    [error] = texts(findings, "error")
    assert error.startswith("Redis, all partitions: refused. Nothing listens where REDIS_URL points: ")
    assert "p4ssw0rd" not in error
    assert "Twilio accepts the credentials." in texts(findings, "ok")


async def test_an_evicting_redis_is_an_error(changed, redis):
    """A Redis that may evict counters would allow more guesses: it is an error that names the policy to set."""
    redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        [error] = texts(await changed(), "error")
    finally:
        redis.config_set("maxmemory-policy", "noeviction")
    assert error.endswith("Set maxmemory-policy noeviction.")


async def test_a_redis_without_persistence_is_warned_about(changed, redis):
    """A Redis without an append-only file is a warning that names the option to set."""
    kept = redis.config_get("appendonly")["appendonly"]
    redis.config_set("appendonly", "no")
    try:
        assert any("Set appendonly yes." in text for text in texts(await changed(), "warn"))
    finally:
        redis.config_set("appendonly", kept)


async def test_refused_credentials_are_an_error(changed):
    """Credentials that Twilio refuses are one error, which does not contain them."""
    findings = await changed(twilio_account_sid="AC" + "0" * 32)
    [error] = texts(findings, "error")
    assert "Twilio" in error
    assert "AC000" not in error


async def test_missing_settings_come_first_without_a_request_to_twilio(changed, running):
    """Missing settings are listed first, in order; without credentials no request goes to Twilio."""
    findings = await changed(twilio_auth_token=(), otp_public_url=None, otp_index_key=None)
    assert [finding.level for finding in findings[:2]] == ["error", "error"]
    assert findings[0].text.startswith("Set TWILIO_AUTH_TOKEN")
    assert findings[1].text.startswith("Set OTP_INDEX_KEY")
    assert not [finding for finding in findings if "credentials" in finding.text]
    assert running.messages() == []


@pytest.fixture
def inbound(changed, running):
    """Return a function that lists the findings about replies and calls, the only ones that name them."""

    async def look(**changes):
        findings = await changed(**changes)
        assert texts(findings, "error") == []
        told = [each for each in findings if re.search(r"\b([Rr]eplies|[Cc]alls)\b(?! it)", each.text)]
        return [(each.level, each.text.replace(running.url, "URL")) for each in told]

    return look


def own_number(running, **options):
    """Change where the messages and calls of TWILIO_FROM go."""
    running.sandbox.account.add_number(running.settings.twilio_from, **options)


async def refuse_all_but_the_first(running, kind):
    """Let Twilio accept the credentials, and fail every read that follows."""
    for plan in ({"kind": "slow", "seconds": 0, "count": 1}, {"kind": kind}):
        async with running.http.post(f"{running.sandbox_url}/_/faults", json={"endpoint": "reads", **plan}) as response:
            assert response.status < 300


@pytest.mark.parametrize("elsewhere", ["", "https://demo.twilio.com/welcome/sms/reply", "https://[bad"])
async def test_without_replies_and_calls_one_line_says_what_to_set(running, inbound, elsewhere):
    """If nothing at Twilio points to the service, one line that is no warning says what both actions need."""
    own_number(running, sms_url=elsewhere, voice_url=elsewhere)
    text = (
        "Replies and calls are not set up: to use them, set “A message comes in” of TWILIO_FROM to URL/twilio/message "
        "and “A call comes in” of TWILIO_FROM to URL/twilio/voice (HTTP POST) in Twilio's Console."
    )
    assert await inbound() == [("ok", text)]


async def test_each_of_replies_and_calls_may_be_set_up_alone(running, inbound):
    """One may be set up without the other; a fragment that only says how often to retry changes nothing."""
    own_number(running, sms_url=f"{running.url}/twilio/message#rc=3&rp=5xx", voice_url="")
    fine, unset = await inbound()
    assert fine == ("ok", "Twilio posts replies to this service.")
    assert unset[0] == "ok"
    assert unset[1].startswith("Calls are not set up: to use them, set “A call comes in” of TWILIO_FROM to URL/twilio")


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/twilio/voice", "URL/twilio/voice"),
        ("/twilio/message/", "URL/twilio/message/"),
        ("/", "URL/"),
        ("/twilio/message?token=s3cret", "URL/twilio/message?…"),
    ],
)
async def test_a_wrong_path_of_our_own_host_is_warned_about(running, inbound, path, shown):
    """An address of this service that receives no messages is a warning with the right one; its query is not shown."""
    own_number(running, sms_url=running.url + path)
    where = "“A message comes in” of TWILIO_FROM"
    assert await inbound() == [
        ("warn", f"Replies do not arrive: {where} is {shown}. Set it to URL/twilio/message (HTTP POST)."),
        ("ok", "Twilio posts calls to this service."),
    ]


async def test_a_user_in_an_address_is_warned_about_but_not_shown(running, inbound):
    """Twilio signs the user too, so such a request would be refused; the password is not printed."""
    own_number(running, voice_url=running.url.replace("://", "://user:p4ssw0rd@") + "/twilio/voice")
    [_, (level, text)] = await inbound()
    assert level == "warn"
    assert text.startswith("Calls do not arrive: “A call comes in” of TWILIO_FROM is http://…@127.0.0.1:")
    assert "p4ssw0rd" not in text


async def test_other_services_on_our_host_are_none_of_ours(running, inbound):
    """If OTP_PUBLIC_URL has a path, other paths of its host are not ours, unless they are ours without that path."""
    own_number(running, sms_url="https://example.com/shop/sms", voice_url="https://example.com/twilio/voice")
    [(unset, first), (wrong, second)] = await inbound(otp_public_url="https://example.com/otp")
    assert (unset, wrong) == ("ok", "warn")
    assert first.startswith("Replies are not set up: ")
    assert " is https://example.com/twilio/voice. Set it to https://example.com/otp/twilio/voice " in second


async def test_webhooks_by_get_are_warned_about(running, inbound):
    """The right address with the wrong method is a warning for each."""
    own_number(running, sms_method="GET", voice_method="GET")
    assert await inbound() == [
        ("warn", "Replies do not arrive: “A message comes in” of TWILIO_FROM is called by HTTP GET. Choose HTTP POST."),
        ("warn", "Calls do not arrive: “A call comes in” of TWILIO_FROM is called by HTTP GET. Choose HTTP POST."),
    ]


async def test_a_messaging_service_decides_where_replies_go(running, inbound):
    """With a Messaging Service its Request URL counts, and calls need the number of OTP_CALL_NUMBER."""
    own_number(running, sms_url="", service_sid=SERVICE)
    account = running.sandbox.account
    account.add_service(SERVICE)
    with_calls = SENT_BY_SERVICE | {"otp_call_number": running.settings.twilio_from}
    assert await inbound(**with_calls) == [("ok", "Twilio posts replies and calls to this service.")]
    fine, unset = await inbound(**SENT_BY_SERVICE)
    assert fine == ("ok", "Twilio posts replies to this service.")
    assert unset[0] == "ok"
    assert "“A call comes in” of the number that OTP_CALL_NUMBER should name to URL/twilio/voice" in unset[1]
    account.add_service(SERVICE, inbound_method="GET")
    where = "the Request URL of TWILIO_MESSAGING_SERVICE_SID"
    warning = ("warn", f"Replies do not arrive: {where} is called by HTTP GET. Choose HTTP POST.")
    assert warning in await inbound(**with_calls)
    account.add_service(SERVICE, inbound_request_url="")
    [(level, text), _] = await inbound(**with_calls)
    assert level == "ok"
    assert f"set {where} to URL/twilio/message (HTTP POST)" in text


async def test_a_messaging_service_may_leave_it_to_its_numbers(running, inbound):
    """If the service defers to its numbers, each of them counts: one that goes elsewhere loses replies."""
    own_number(running, service_sid=SERVICE)
    account = running.sandbox.account
    account.add_service(SERVICE, inbound_request_url="", use_inbound_webhook_on_number=True)
    changes = SENT_BY_SERVICE | {"otp_call_number": running.settings.twilio_from}
    assert await inbound(**changes) == [("ok", "Twilio posts replies and calls to this service.")]
    account.add_number("+14155550188", sms_url="", service_sid=SERVICE)
    account.add_number("+14155550199", sms_url="")  # of no service
    where = "“A message comes in” of the numbers of TWILIO_MESSAGING_SERVICE_SID"
    assert (
        "warn",
        f"Replies do not all arrive: {where} leads here for only 1 of 2. Set each to URL/twilio/message (HTTP POST).",
    ) in await inbound(**changes)
    own_number(running, sms_url="https://demo.twilio.com/welcome/sms/reply")
    [(level, text), _] = await inbound(**changes)
    assert (level, f"set {where} to URL/twilio/message" in text) == ("ok", True)


@pytest.fixture
def with_senders(running):
    """Return a function that adds an API key with its own sender for each name."""

    async def add(**senders):
        async with open_redis(running.settings) as scripts:
            for name, sender in senders.items():
                kept = new_api_key(name, [Scope.VERIFICATIONS], look=Look(sender=sender))[1]
                await RedisApiKeys(scripts).add(kept.digest, kept.particulars)

    return add


async def test_the_senders_of_keys_are_looked_up_too(running, inbound, with_senders):
    """Replies to a key's own sender must arrive like the others; a sender of several keys is read once."""
    own = "+14155550188"
    running.sandbox.account.add_number(own)
    await with_senders(shop=own, app=own, named="Rooster", usual=running.settings.twilio_from)
    fine = "Twilio posts replies, calls and replies to the sender of app and shop to this service."
    assert await inbound() == [("ok", fine)]
    running.sandbox.account.add_number(own, sms_method="GET")
    where = "“A message comes in” of the sender of app and shop"
    text = f"Replies to the sender of app and shop do not arrive: {where} is called by HTTP GET. Choose HTTP POST."
    assert ("warn", text) in await inbound()
    running.sandbox.account.add_number(own, sms_url="")
    [_, (level, text)] = await inbound()
    assert level == "ok"
    assert text.startswith(f"Replies to the sender of app and shop are not set up: to use them, set {where} to URL/")


async def test_the_sender_of_a_key_may_be_a_messaging_service(running, inbound, with_senders):
    """The Request URL of a key's Messaging Service counts; one that the account does not have is warned about."""
    running.sandbox.account.add_service(SERVICE, inbound_method="GET")
    await with_senders(shop=SERVICE)
    [fine, (level, text)] = await inbound()
    assert fine == ("ok", "Twilio posts replies and calls to this service.")
    assert (level, "the Request URL of the sender of shop is called by HTTP GET" in text) == ("warn", True)


async def test_a_sender_of_a_key_that_the_account_lacks_is_warned_about(inbound, with_senders):
    """A number that is not the account's cannot send either: `check` says that it is not there."""
    await with_senders(shop="+14155550177")
    [_, (level, text)] = await inbound()
    assert level == "warn"
    assert text.startswith("Where replies to the sender of shop go could not be read (this account has no such number)")


async def test_at_most_twenty_senders_of_keys_are_looked_up(running, inbound, with_senders):
    """Each takes a request to Twilio; `check` says how many were left out."""
    numbers = {f"k{number}": f"+141555501{number}" for number in range(10, 33)}
    for number in numbers.values():
        running.sandbox.account.add_number(number)
    await with_senders(**numbers)
    *_, last = await inbound()
    assert last == ("ok", "Where replies to 3 more senders of API keys go was not read.")


@pytest.mark.parametrize(
    ("kind", "status"), [("unauthorized", 401), ("forbidden", 403), ("not_found", 404)], ids=["401", "403", "404"]
)
@pytest.mark.parametrize("changes", [{}, SENT_BY_SERVICE], ids=["number", "messaging service"])
async def test_credentials_that_may_not_read_leave_one_line(running, inbound, kind, status, changes):
    """If the credentials may not read the URLs, one line that is no warning says what to look at in the Console."""
    await refuse_all_but_the_first(running, kind)
    [(level, text)] = await inbound(**changes, otp_call_number=running.settings.twilio_from)
    assert level == "ok"
    assert text.startswith(f"Where replies and calls go could not be read (Twilio answered {status}")
    assert "look in Twilio's Console: " in text
    assert text.index("URL/twilio/message") < text.index("“A call comes in” of OTP_CALL_NUMBER to URL/twilio/voice")


@pytest.mark.parametrize("kind", ["503", "garbage", "reset"])
async def test_urls_that_were_not_read_for_a_passing_reason_are_a_warning(running, inbound, kind):
    """A failure that does not concern the credentials may hide a fault, so the line is a warning."""
    await refuse_all_but_the_first(running, kind)
    [(level, text)] = await inbound()
    assert (level, text.startswith("Where replies and calls go could not be read (")) == ("warn", True)


async def test_a_number_that_the_account_does_not_have_is_warned_about(inbound):
    """Twilio also lists numbers that only contain ours; without exactly ours, calls to it cannot reach the service."""
    _, (level, text) = await inbound(otp_call_number="+1500555000")
    assert level == "warn"
    assert text.startswith("Where calls go could not be read (this account has no such number). ")


@pytest.mark.parametrize(("sender", "told"), [("12345", "a short code's URL is not read"), ("Acme", None)])
async def test_senders_that_are_not_numbers(inbound, sender, told):
    """A short code has to be looked at by hand; a name receives no replies, so nothing is said of them."""
    found = [text for level, text in await inbound(twilio_from=sender) if level == "ok" and "eplies" in text]
    assert [told in text for text in found] == ([True] if told else [])


async def test_an_app_in_place_of_the_urls_has_to_be_looked_at():
    """A TwiML App has a URL of its own, which may be right: so one line says what to look at, and does not warn."""
    url = "https://otp.example.com"
    row = ROW | {"sms_application_sid": "AP" + "1b" * 16, "voice_url": url + "/twilio/voice", "voice_method": "POST"}
    settings = isolated_settings(twilio_from=row["phone_number"], otp_public_url=url)
    async with recording() as twilio, open_twilio(account(twilio.url)) as gateway:
        twilio.answers(200, json.dumps({"incoming_phone_numbers": [row]}).encode())
        app, calls = await inbound_findings(settings, gateway.inbound_urls())
    assert app.level == "ok"
    assert app.text.startswith("Where replies go could not be read (a TwiML App or a SIP trunk is set instead). ")
    assert calls.text == "Twilio posts calls to this service."


async def test_a_sender_pool_without_numbers_receives_nothing(running, inbound):
    """A service that leaves its messages to its numbers, and has none, is not set up for replies."""
    running.sandbox.account.add_service(SERVICE, use_inbound_webhook_on_number=True)
    [(level, text)] = await inbound(**SENT_BY_SERVICE)
    assert (level, text.startswith("Replies and calls are not set up: ")) == ("ok", True)


async def test_without_a_public_address_nothing_is_said_of_replies_and_calls(inbound):
    """Without OTP_PUBLIC_URL, which has its own warning, both are refused anyway."""
    assert await inbound(otp_public_url=None) == []


def test_old_numbering_plans_are_warned_about():
    """Numbering plans older than half a year are warned about with the fix; another version is named beside ours."""
    fresh, old = numbering_plans(date(2027, 1, 1), "9.0.43"), numbering_plans(date(2027, 6, 1), "9.0.43")
    assert (fresh.level, old.level) == ("ok", "warn")
    assert "of 2026-11-06" in fresh.text
    assert "207 days old" in old.text
    assert "OTP_EXTRA_PREFIXES" in old.text
    other = numbering_plans(date(2030, 1, 1), "10.0.1")
    assert (other.level, "10.0.1" in other.text, "9.0.43" in other.text) == ("ok", True, True)


async def test_check_reports_the_age_of_the_numbering_plans(changed):
    """Every `check` reports the age of the numbering plans."""
    assert [text for text in texts(await changed(), "ok") if text.startswith("The numbering plans are those of")]


def test_the_date_of_the_numbering_plans_is_that_of_the_locked_version():
    """The date is maintained by hand, so the test compares it with the lock file: both must change together."""
    [locked] = re.findall(
        r'name = "phonenumbers"\nversion = "([^"]+)".*?\nsdist = .*?upload-time = "([0-9-]+)T', LOCK, re.DOTALL
    )
    finding = numbering_plans(date.fromisoformat(locked[1]), locked[0])
    assert finding.text == f"The numbering plans are those of phonenumbers {locked[0]}, of {locked[1]}."
