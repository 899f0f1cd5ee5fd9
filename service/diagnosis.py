"""`otp-service check`: what is wrong with the settings, Redis and Twilio, and how to fix it.

It sends no message (`first_message` does) and changes nothing, but that it starts the embedded server where none runs;
what it writes to Redis it takes away again. An `error` keeps the service from doing its work; a `warn` is a choice that
an operator should have made on purpose.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

import phonenumbers

from service.app import open_redis
from service.config.policies import few_descriptors, twilio_account
from service.config.settings import Settings, missing_to_serve
from service.config.web_addresses import is_for_development
from service.core.store_health import StoreCause, StoreUnavailable
from service.core.verification import PARTITIONS
from service.descriptors import raise_limit
from service.embedded.server import EmbeddedUnavailable
from service.providers.twilio.gateway import open_twilio
from service.store.clocks import Clock, primary_clocks, replica_clocks
from service.store.faults import lacking
from service.store.health import RedisHealth
from service.store.scripts import Scripts

_OLDEST_REDIS = 7
_CLOSE_SECONDS = 1.0  # clocks that NTP keeps are closer
_APART_SECONDS = 30.0  # a person notices: codes are issued for a minute at least
_MORE_LOOKS = 2
_PAUSE_SECONDS = 0.2
_PLANS_VERSION, _PLANS_OF = "9.0.43", date(2026, 11, 6)  # as in uv.lock
_OLDEST_PLANS_DAYS = 180  # a new version comes every two weeks
_EXAMPLE_BRAND = Settings.model_fields["otp_brand"].default


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the diagnosis."""

    level: Literal["ok", "warn", "error"]
    text: str


async def examine(settings: Settings, *, unread: Sequence[str] = ()) -> list[Finding]:
    """Look at everything; the findings come in the order in which they should be fixed.

    `unread` are sentences about names that look like settings and are not.
    """
    missing = missing_to_serve(settings)
    findings = [Finding("error", sentence) for sentence in missing] or [Finding("ok", "The settings are complete.")]
    findings += [Finding("warn", sentence) for sentence in unread] + _choices(settings)
    findings += _descriptors(settings)
    findings.append(numbering_plans(datetime.now(UTC).date()))
    try:
        async with open_redis(settings) as scripts:
            findings += await _redis(scripts, settings.redis_url)
    except EmbeddedUnavailable as unavailable:
        findings.append(Finding("error", str(unavailable)))
    except (RuntimeError, ValueError) as away:
        findings.append(Finding("error", f"Redis: {away}. Set REDIS_URL to a server that this machine can reach."))
    if not missing:
        findings.append(await _twilio(settings))
    return findings


def _choices(settings: Settings) -> list[Finding]:
    warnings = {
        "OTP_PUBLIC_URL is not set: Twilio cannot report deliveries, nor bring home a SID whose answer was lost.": (
            settings.otp_public_url is None
        ),
        "OTP_REQUIRE_CLIENT_IP is off: callers may omit client_ip, and the limits by address then count nothing.": (
            not settings.otp_require_client_ip
        ),
        "OTP_BRAND is still the example's: messages say “Your Acme code is …”.": settings.otp_brand == _EXAMPLE_BRAND,
        "OTP_CORS_ORIGINS is set and OTP_TRUSTED_PROXIES is 0: behind a proxy all front ends share one limit.": (
            bool(settings.otp_cors_origins) and settings.otp_trusted_proxies == 0
        ),
        "OTP_COUNTRIES is empty: every country may be sent to, the expensive ones too.": not settings.otp_countries,
        "OTP_LIMIT_NUMBER is empty: one number may be sent any number of messages.": not settings.otp_limit_number,
        "OTP_LIMIT_FAILED_CHECKS is empty: new codes to guess at are sent until 100 checks in a row have failed.": (
            not settings.otp_limit_failed_checks
        ),
        "OTP_TEST_NUMBERS is set: who knows one and its code is approved as it. List none that anybody owns.": (
            bool(settings.otp_test_numbers)
        ),
        "OTP_LIMIT_DAY is empty: nothing caps the bill of a day.": not settings.otp_limit_day,
        "OTP_PUBLIC_URL is plain http or no public host: for development only, Twilio will not call it.": (
            not settings.is_twilio_played and is_for_development(settings.otp_public_url)
        ),
        "TWILIO_BASE_URL is set: TWILIO_EDGE and TWILIO_REGION count for nothing beside it.": (
            settings.twilio_base_url is not None and bool(settings.twilio_edge or settings.twilio_region)
        ),
    }
    return [Finding("warn", text) for text, is_so in warnings.items() if is_so]


def _descriptors(settings: Settings) -> list[Finding]:
    """Look at the limit of this process, which is that of `serve` when both are started alike."""
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
    """Tell how old the library's numbering plans are: it holds no date, so what is known is that of our release."""
    plans = f"The numbering plans are those of phonenumbers {version}"
    if version != _PLANS_VERSION:
        return Finding("ok", f"{plans}; this release was made with {_PLANS_VERSION}, of {_PLANS_OF}.")
    days = (today - _PLANS_OF).days
    if days <= _OLDEST_PLANS_DAYS:
        return Finding("ok", f"{plans}, of {_PLANS_OF}.")
    advice = "Upgrade, or name new prefixes in OTP_EXTRA_PREFIXES"
    return Finding("warn", f"{plans}, {days} days old: numbers that are newer are refused. {advice}.")


async def _redis(scripts: Scripts, url: str | None) -> list[Finding]:
    """Look whether Redis does the work, and then how it is set up."""
    findings = await _work(scripts)
    asked_at = time.time()
    try:
        infos = [_fields(info) for info in await scripts.everywhere("INFO")]
    except StoreUnavailable as away:
        # What keeps Redis from working is said already, partition by partition.
        if away.cause is StoreCause.NO_PERMISSION or not findings:
            findings.append(Finding("warn", f"Redis: its setup is not looked at, INFO fails: {away.fault.sentence}"))
        return findings
    clocks = primary_clocks(infos, asked_at=asked_at)
    replicas, silent = ([], []) if url is None else await replica_clocks(url, infos)
    findings += [Finding("warn", f"Redis: {name} does not answer, so its clock is not looked at.") for name in silent]
    return findings + _clocks([*clocks, *replicas]) + _setup(infos, is_embedded=url is None)


def _clocks(clocks: Sequence[Clock]) -> list[Finding]:
    """Compare the clocks of all nodes with each other, and with this machine's."""
    findings = []
    fast, slow = (pick(clocks, key=lambda clock: clock.lead_seconds) for pick in (max, min))
    apart = fast.lead_seconds - slow.lead_seconds - fast.within_seconds - slow.within_seconds
    if apart > _CLOSE_SECONDS:
        text = (
            f"Redis: the clock of {fast.node} is {apart:.0f} s ahead of that of {slow.node}. After a failover to the "
            "one ahead, codes on their way expire so much earlier; to the one behind, numbers stay closed and "
            "confirmations wait for so much longer. Keep all nodes by NTP."
        )
        findings.append(Finding("error" if apart > _APART_SECONDS else "warn", text))
    off = min(abs(clock.lead_seconds) - clock.within_seconds for clock in clocks)
    if off > _CLOSE_SECONDS:
        text = (
            f"The clock of this machine is {off:.0f} s off Redis's, by which all is timed: no code or limit suffers, "
            "but the times in the log do, and certificates may be refused. Keep both by NTP."
        )
        findings.append(Finding("warn", text))
    return findings


async def _work(scripts: Scripts) -> list[Finding]:
    """Write as an issue and a check do in every partition; a silence is met again, until its reason is known."""
    look = RedisHealth(scripts)
    health = await look.look()
    for _ in range(_MORE_LOOKS):
        if not {fault.cause for fault in health.faults.values()} & {StoreCause.TIMEOUT, StoreCause.CONNECTION_LOST}:
            break
        await asyncio.sleep(_PAUSE_SECONDS)  # a failure to connect is believed for a moment
        health = await look.look()
    findings = [
        Finding("error", f"Redis, {_named(partitions)}: {fault.cause}. {fault.sentence}")
        for fault, partitions in health.by_fault().items()
    ]
    if findings:
        return findings
    if apart := health.api_keys or await look.look_apart():
        findings.append(Finding("error", f"Redis, API keys and limits: {apart.cause}. {apart.sentence}"))
    if health.lacking:
        fault = lacking(health.lacking)
        findings.append(Finding("error", f"Redis, the worker and the commands: {fault.cause}. {fault.sentence}"))
    return findings


def _named(partitions: Sequence[str]) -> str:
    return "all partitions" if len(partitions) == len(PARTITIONS) else f"partitions {' '.join(partitions)}"


def _setup(infos: Sequence[Mapping[str, str]], *, is_embedded: bool) -> list[Finding]:
    """Check the setup of every primary: one that evicts, or forgets, is enough to harm."""
    versions = {info.get("valkey_version") or info.get("redis_version", "0") for info in infos}
    findings = [
        Finding("error", f"Redis {version} is too old: use Redis 7 or Valkey.")
        for version in sorted(versions)
        if int(version.split(".")[0]) < _OLDEST_REDIS
    ]
    if any(info.get("aof_enabled") != "1" for info in infos):
        forgets = "Redis keeps no append-only file: a crash forgets codes and entries. Set appendonly yes."
        findings.append(Finding("warn", forgets))
    if any(info.get("maxmemory_policy", "noeviction") != "noeviction" for info in infos):
        evicts = "Redis evicts keys, and an evicted counter is free guesses. Set maxmemory-policy noeviction."
        findings.append(Finding("error", evicts))
    if is_embedded:
        findings.append(Finding("ok", "REDIS_URL is empty: the embedded server is used, for one machine."))
    return [*findings, Finding("ok", f"Redis answers (version {', '.join(sorted(versions))}).")]


async def _twilio(settings: Settings) -> Finding:
    async with open_twilio(twilio_account(settings)) as twilio:
        wrong = await twilio.check_credentials()
    return Finding("ok", "Twilio accepts the credentials.") if wrong is None else Finding("error", wrong)


def _fields(info: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in info.decode().splitlines())
    return {name: value for name, _, value in lines}
