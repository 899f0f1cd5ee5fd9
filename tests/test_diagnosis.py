"""The promises of `service.diagnosis`: each finding says how to fix it; nothing is changed or sent."""

import re
from datetime import date
from pathlib import Path

import pytest

from service.config.settings import isolated_settings
from service.diagnosis import examine, numbering_plans

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
    assert found[-1] == "Twilio accepts the credentials."
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


async def test_settings_that_risk_money_are_warned_about(changed):
    """Each limit that is off and each open endpoint is a warning that names its setting."""
    warned = " ".join(texts(await changed(otp_countries=(), otp_public_url=None), "warn"))
    for name in (
        "OTP_PUBLIC_URL", "OTP_REQUIRE_CLIENT_IP", "OTP_COUNTRIES", "OTP_LIMIT_NUMBER", "OTP_LIMIT_FAILED_CHECKS",
        "OTP_LIMIT_DAY",
    ):  # fmt: skip
        assert name in warned


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
