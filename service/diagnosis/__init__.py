"""`otp-service check`: finds errors in the settings, Redis and Twilio, and says how to fix them.

It sends no message (`first_message` does) and changes nothing: it deletes its test writes in Redis. If REDIS_URL is
empty, it starts the embedded server. An `error` keeps the service from working; a `warn` is a risk that an operator
should accept only on purpose.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

import phonenumbers

from service.app import open_redis
from service.config.policies import few_descriptors, message_texts, twilio_account
from service.config.settings import Settings, missing_to_serve
from service.config.web_addresses import is_for_development
from service.core.api_keys import ApiKey
from service.core.store_health import StoreCause, StoreUnavailable
from service.descriptors import raise_limit
from service.diagnosis.channels import channel_choices, channel_findings
from service.diagnosis.finding import Finding
from service.diagnosis.inbound import inbound_findings
from service.diagnosis.looks import kept_keys, look_findings
from service.diagnosis.money import budget_use, money_choices
from service.diagnosis.outbox import outbox_findings
from service.diagnosis.partitions import partition_findings
from service.diagnosis.replicas import wait_findings
from service.embedded.server import EmbeddedUnavailable
from service.providers.twilio.gateway import open_twilio
from service.store.clocks import Clock, primary_clocks, replica_clocks
from service.store.faults import lacking
from service.store.health import RedisHealth
from service.store.scripts import Scripts

_OLDEST_REDIS = 7
_CLOSE_SECONDS = 1.0  # clocks synchronised by NTP differ less
_APART_SECONDS = 30.0  # people notice: codes may be valid for only a minute
_MORE_LOOKS = 2
_PAUSE_SECONDS = 0.2
_PLANS_VERSION, _PLANS_OF = "9.0.43", date(2026, 11, 6)  # as in uv.lock
_OLDEST_PLANS_DAYS = 180  # a new version comes every two weeks
_EXAMPLE_BRAND = Settings.model_fields["otp_brand"].default


async def examine(settings: Settings, *, unread: Sequence[str] = ()) -> list[Finding]:
    """Run all checks. The findings are in the order in which to fix them.

    `unread` are sentences about names that look like settings but are not.
    """
    missing = missing_to_serve(settings)
    findings = [Finding("error", sentence) for sentence in missing] or [Finding("ok", "The settings are complete.")]
    findings += [Finding("warn", sentence) for sentence in unread] + _choices(settings)
    findings += channel_choices(settings) + money_choices(settings) + _descriptors(settings)
    findings.append(numbering_plans(datetime.now(UTC).date()))
    keys: Sequence[ApiKey] = ()
    try:
        async with open_redis(settings) as scripts:
            findings += await _redis(scripts, settings.redis_url, settings.otp_wait_replicas)
            findings += await outbox_findings(settings, scripts)
            keys = await kept_keys(scripts)
            findings += await budget_use(settings, scripts) + look_findings(settings, keys)
    except EmbeddedUnavailable as unavailable:
        findings.append(Finding("error", str(unavailable)))
    except (RuntimeError, ValueError) as away:
        findings.append(Finding("error", f"Redis: {away}. Set REDIS_URL to a server that this machine can reach."))
    if not missing:
        findings += await _twilio(settings, keys)
    return findings


def _choices(settings: Settings) -> list[Finding]:
    link_setting = "OTP_LINK_URL" if settings.otp_link_url else "OTP_PUBLIC_URL"
    has_links = bool(settings.otp_link_url or settings.otp_public_url)
    unfit = message_texts(settings).locales_without_links() if has_links else []
    warnings = {
        f"{link_setting} is too long: no link can be sent in {', '.join(unfit)}. Set a shorter OTP_LINK_URL.": bool(
            unfit
        ),
        "OTP_PUBLIC_URL is not set: Twilio cannot report deliveries, nor SIDs whose response was lost.": (
            settings.otp_public_url is None
        ),
        "OTP_REQUIRE_CLIENT_IP is off: if callers omit client_ip, no limit per address applies.": (
            not settings.otp_require_client_ip
        ),
        "OTP_BRAND is still the example value: messages say “Your Acme code is …”.": settings.otp_brand
        == _EXAMPLE_BRAND,
        "OTP_CORS_ORIGINS is set and OTP_TRUSTED_PROXIES is 0: behind a proxy all front ends share one limit.": (
            bool(settings.otp_cors_origins) and settings.otp_trusted_proxies == 0
        ),
        "OTP_LINK_URL is set and OTP_TRUSTED_PROXIES is 0: behind a proxy all who open links share one limit.": (
            settings.otp_link_url is not None and settings.otp_trusted_proxies == 0
        ),
        "OTP_COUNTRIES is empty: every country may be sent to, including expensive ones.": not settings.otp_countries,
        "OTP_LIMIT_NUMBER is empty: one number may receive any number of messages.": not settings.otp_limit_number,
        "OTP_LIMIT_FAILED_CHECKS is empty: a number gets new codes to guess until 100 checks in a row have failed.": (
            not settings.otp_limit_failed_checks
        ),
        "OTP_TEST_NUMBERS is set: a number and its code suffice for an approval. List only fictional numbers.": (
            bool(settings.otp_test_numbers)
        ),
        "OTP_LIMIT_DAY is empty, and there is no OTP_BUDGET_DAY: nothing caps the daily bill.": (
            not settings.otp_limit_day and settings.budget is None
        ),
        "OTP_PUBLIC_URL is plain http, or its host is not public: Twilio does not call it.": (
            not settings.is_twilio_played and is_for_development(settings.otp_public_url)
        ),
        "TWILIO_BASE_URL is set, so TWILIO_EDGE and TWILIO_REGION are ignored.": (
            settings.twilio_base_url is not None and bool(settings.twilio_edge or settings.twilio_region)
        ),
    }
    return [Finding("warn", text) for text, is_so in warnings.items() if is_so]


def _descriptors(settings: Settings) -> list[Finding]:
    """Check the limit of this process. It is that of `serve` if both are started in the same way."""
    raise_limit()
    few = few_descriptors(settings)
    if few is None:
        return []
    text = (
        f"A process may open {few.descriptors} files, too few for these settings: only {few.connections} connections. "
        "Raise the limit (ulimit -n, LimitNOFILE in systemd, ulimits in Compose)."
    )
    return [Finding("warn", text)]


def numbering_plans(today: date, version: str = phonenumbers.__version__) -> Finding:
    """Say how old the numbering plans are. The library has no date, so only that of the locked version is known."""
    plans = f"The numbering plans are those of phonenumbers {version}"
    if version != _PLANS_VERSION:
        return Finding("ok", f"{plans}; this release was made with {_PLANS_VERSION}, of {_PLANS_OF}.")
    days = (today - _PLANS_OF).days
    if days <= _OLDEST_PLANS_DAYS:
        return Finding("ok", f"{plans}, of {_PLANS_OF}.")
    advice = "Upgrade, or add new prefixes to OTP_EXTRA_PREFIXES"
    return Finding("warn", f"{plans}, {days} days old: newer numbers are refused. {advice}.")


async def _redis(scripts: Scripts, url: str | None, waited_for: int) -> list[Finding]:
    """Check that Redis works, and then its clocks and configuration."""
    findings = await _work(scripts)
    asked_at = time.time()
    try:
        infos = [_fields(info) for info in await scripts.command_on_primaries("INFO")]
    except StoreUnavailable as away:
        # The findings already name what keeps Redis from working, for each partition.
        if away.cause is StoreCause.NO_PERMISSION or not findings:
            findings.append(
                Finding("warn", f"Redis: its configuration was not checked, because INFO fails: {away.fault.sentence}")
            )
        return findings
    waits = await wait_findings(scripts, waited_for, infos, is_working=not findings)
    clocks = primary_clocks(infos, asked_at=asked_at)
    replicas, unread = ([], {}) if url is None else await replica_clocks(url, infos)
    findings += [
        Finding(
            "warn",
            f"Redis: the clock of {name} was not checked: {fault.cause}. After a failover the service needs this node.",
        )
        for name, fault in unread.items()
    ]
    return findings + waits + _clocks([*clocks, *replicas]) + _setup(infos, is_embedded=url is None)


def _clocks(clocks: Sequence[Clock]) -> list[Finding]:
    """Compare the clocks of all nodes with each other and with that of this machine."""
    findings = []
    fast, slow = (pick(clocks, key=lambda clock: clock.lead_seconds) for pick in (max, min))
    apart = fast.lead_seconds - slow.lead_seconds - fast.within_seconds - slow.within_seconds
    if apart > _CLOSE_SECONDS:
        text = (
            f"Redis: the clock of {fast.node} is {apart:.0f} s ahead of that of {slow.node}. A failover to the first "
            "would end codes that much earlier; a failover to the second would make limits and confirmations wait that "
            "much longer. Synchronise all nodes by NTP."
        )
        findings.append(Finding("error" if apart > _APART_SECONDS else "warn", text))
    off = min(abs(clock.lead_seconds) - clock.within_seconds for clock in clocks)
    if off > _CLOSE_SECONDS:
        text = (
            f"The clock of this machine is {off:.0f} s off that of Redis. Codes and limits use the clock of Redis, but "
            "the times in the log are wrong, and certificates may be refused. Synchronise both by NTP."
        )
        findings.append(Finding("warn", text))
    return findings


async def _work(scripts: Scripts) -> list[Finding]:
    """Write as an issue and a check do, in every partition. After a time-out, look again: the cause may be clearer."""
    look = RedisHealth(scripts)
    health = await look.look()
    for _ in range(_MORE_LOOKS):
        if not {fault.cause for fault in health.faults.values()} & {StoreCause.TIMEOUT, StoreCause.CONNECTION_LOST}:
            break
        await asyncio.sleep(_PAUSE_SECONDS)  # the client caches a failure to connect for a moment
        health = await look.look()
    findings = partition_findings(health)
    if findings:
        return findings
    if apart := health.api_keys or await look.look_apart():
        findings.append(Finding("error", f"Redis, API keys and limits: {apart.cause}. {apart.sentence}"))
    if health.lacking:
        fault = lacking(health.lacking)
        findings.append(Finding("error", f"Redis, the worker and the commands: {fault.cause}. {fault.sentence}"))
    return findings


def _setup(infos: Sequence[Mapping[str, str]], *, is_embedded: bool) -> list[Finding]:
    """Check the configuration of every primary: one that evicts or loses data is enough to do harm."""
    versions = {info.get("valkey_version") or info.get("redis_version", "0") for info in infos}
    findings = [
        Finding("error", f"Redis {version} is too old: use Redis 7 or Valkey.")
        for version in sorted(versions)
        if int(version.split(".")[0]) < _OLDEST_REDIS
    ]
    if any(info.get("aof_enabled") != "1" for info in infos):
        forgets = "Redis has no append-only file: a crash loses codes and confirmations. Set appendonly yes."
        findings.append(Finding("warn", forgets))
    if any(info.get("maxmemory_policy", "noeviction") != "noeviction" for info in infos):
        evicts = "Redis evicts keys. Without its counter, a code can be guessed. Set maxmemory-policy noeviction."
        findings.append(Finding("error", evicts))
    if is_embedded:
        findings.append(Finding("ok", "REDIS_URL is empty: the embedded server is used, on this machine only."))
    return [*findings, Finding("ok", f"Redis answers (version {', '.join(sorted(versions))}).")]


async def _twilio(settings: Settings, keys: Sequence[ApiKey]) -> list[Finding]:
    async with open_twilio(twilio_account(settings)) as twilio:
        wrong = await twilio.check_credentials()
        if wrong is not None:
            return [Finding("error", wrong)]
        urls = twilio.inbound_urls()
        found = await channel_findings(settings, twilio.templates(), urls)
        found += await inbound_findings(settings, urls, keys)
    return [Finding("ok", "Twilio accepts the credentials."), *found]


def _fields(info: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in info.decode().splitlines())
    return {name: value for name, _, value in lines}
