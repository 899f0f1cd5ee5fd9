"""Wires the providers, the rules with their adapters, and the worker, for the API and for the commands."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple

from service.config.policies import (
    confirmation_policy,
    default_profile,
    descriptor_shares,
    issue_policy,
    limit_policy,
    lookup_policy,
    new_keyring,
    record_policy,
    twilio_account,
)
from service.config.settings import Settings
from service.core.breaker import Breaker
from service.core.channels import Channel
from service.core.checking import Checking
from service.core.confirming import ConfirmationHandler
from service.core.event_log import EventLog
from service.core.fallback import Fallback
from service.core.idempotency import Idempotency
from service.core.inbound import Inbound
from service.core.issuing import Issuing
from service.core.keyring import Keyring
from service.core.limiter import Limiter
from service.core.links import Links
from service.core.lost_messages import LostMessages, MessageList
from service.core.outbox import OutboxWorker
from service.core.profiles import Profiles
from service.core.reports.rolling_up import RollingUp
from service.core.retrying import Retries, RetryPolicy
from service.core.searching import Searching
from service.core.sender import Sender
from service.core.sending import Sending
from service.core.spoken_codes import SpeechSeal
from service.core.undoing import Undoing
from service.core.verification_store import VerificationStore
from service.providers.twilio.calls import CallSender
from service.providers.twilio.gateway import open_twilio
from service.providers.twilio.whatsapp import WhatsAppSender
from service.store.confirmations import open_confirmations
from service.store.expectations import RedisExpectations
from service.store.fallbacks import RedisFallbacks
from service.store.funnel_upkeep import RedisFunnelUpkeep
from service.store.ledgers import RedisApiKeys, RedisIdempotency, RedisLimits
from service.store.links import RedisLinks
from service.store.lost_messages import RedisLostMessages
from service.store.numbers import RedisNumbers
from service.store.replication import ReplicatedVerifications
from service.store.scripts import Scripts
from service.store.verifications import RedisVerifications

DRAIN_SECONDS = 8.0
_SETTLEMENT_PAUSE_SECONDS = 2.0  # a settlement has the rest of a lease of 30 s only


class Providers(NamedTuple):
    """A sender for each channel, and the list of messages in which lost ones are looked up."""

    senders: Mapping[Channel, Sender]
    messages: MessageList


@asynccontextmanager
async def open_providers(settings: Settings) -> AsyncIterator[Providers]:
    """Open the provider of each channel that has a sender. This is where a channel gets its provider."""
    account = twilio_account(settings)
    async with open_twilio(account) as twilio:
        senders: dict[Channel, Sender] = {Channel.SMS: twilio}
        if account.whatsapp_sender is not None:
            senders[Channel.WHATSAPP] = WhatsAppSender(account, twilio)
        if account.voice_from is not None:
            senders[Channel.VOICE] = CallSender(account, twilio.posting, SpeechSeal(new_keyring(settings)).seal)
        yield Providers(senders, messages=twilio)


class Store(NamedTuple):
    """What the rules and the worker share: Redis, the keys, the store of verifications, and the API keys' profiles."""

    scripts: Scripts
    keyring: Keyring
    verifications: VerificationStore
    profiles: Profiles
    replicated: ReplicatedVerifications | None = None  # the same, if they wait for replicas


def new_store(
    settings: Settings,
    scripts: Scripts,
    *,
    retries: Retries | None = None,
    event_log: EventLog = lambda *_, **__: None,
) -> Store:
    """Derive the keys, and join them with Redis; `retries` wait for replicas where no caller does."""
    keyring, policy = new_keyring(settings), record_policy(settings)
    profiles = Profiles(RedisApiKeys(scripts), keyring, default_profile(settings))
    if not policy.waits_for_replicas:
        return Store(scripts, keyring, RedisVerifications(scripts, keyring, policy), profiles)
    verifications = ReplicatedVerifications(
        scripts,
        keyring,
        policy,
        waits_for_issues=settings.otp_wait_issues,
        retries=retries or Retries(),
        event_log=event_log,
    )
    return Store(scripts, keyring, verifications, profiles, verifications)


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of issuing and checking, joined with Redis and the providers."""

    breakers: Mapping[Channel, Breaker]
    limiter: Limiter
    idempotency: Idempotency
    issuing: Issuing
    checking: Checking
    links: Links
    inbound: Inbound
    searching: Searching
    fallback: Fallback  # only a worker runs it


def new_rules(
    settings: Settings,
    store: Store,
    senders: Mapping[Channel, Sender],
    *,
    retries: Mapping[str, Retries],
    wake: Callable[[str], None],
    event_log: EventLog,
) -> Rules:
    """Join the rules; `retries` has one each for `attach_sid`, `end_claim` and `undo`: none crowds out another."""
    scripts, keyring, verifications, profiles, _ = store
    breakers = {channel: Breaker(provider=sender.provider, event_log=event_log) for channel, sender in senders.items()}
    limiter = Limiter(
        RedisLimits(scripts), keyring, limit_policy(settings), breakers=breakers, segments=profiles.most_segments
    )
    idempotency = Idempotency(RedisIdempotency(scripts), keyring, retries=retries["end_claim"], event_log=event_log)
    sending = Sending(
        verifications,
        senders,
        breakers=breakers,
        profiles=profiles,
        most_in_flight=descriptor_shares(settings).sends,
        late_window_seconds=settings.otp_late_window,
        attachments=retries["attach_sid"],
        wake=wake,
        event_log=event_log,
    )
    undoing = Undoing(verifications, idempotency, retries=retries["undo"], event_log=event_log)
    issuing = Issuing(
        store=verifications,
        sending=sending,
        limiter=limiter,
        idempotency=idempotency,
        undoing=undoing,
        keyring=keyring,
        policy=issue_policy(settings),
        profiles=profiles,
    )
    fallback = Fallback(
        RedisFallbacks(scripts, keyring, record_policy(settings)),
        verifications,
        sending,
        limiter=limiter,
        undoing=undoing,
        keyring=keyring,
        issue_policy=issue_policy(settings),
        profiles=profiles,
        event_log=event_log,
    )
    checking = Checking(verifications, keyring, wake=wake, event_log=event_log)
    searching = Searching(RedisNumbers(scripts, keyring, record_policy(settings)), verifications, limiter, keyring)
    links = Links(verifications, RedisLinks(scripts, keyring), keyring, wake=wake, event_log=event_log)
    expectations = RedisExpectations(scripts, max_attempts=settings.otp_max_attempts)
    inbound = Inbound(verifications, expectations, keyring, profiles, wake=wake)
    return Rules(breakers, limiter, idempotency, issuing, checking, links, inbound, searching, fallback)


@asynccontextmanager
async def open_worker(
    settings: Settings, store: Store, providers: Providers, event_log: EventLog
) -> AsyncIterator[OutboxWorker]:
    """Run the worker. At the end it has 8 s to finish what it has claimed; the leases cover the rest."""
    settlements = Retries(RetryPolicy(longest_pause_seconds=_SETTLEMENT_PAUSE_SECONDS))
    worker = OutboxWorker(
        open_confirmations(store.scripts),
        ConfirmationHandler(providers.senders.values()),
        policy=confirmation_policy(settings),
        settlements=settlements,
        event_log=event_log,
    )
    lost_messages = _lost_messages(settings, store, providers.messages, worker, event_log)
    rolling_up = RollingUp(RedisFunnelUpkeep(store.scripts), event_log=event_log)
    # It sends by rules of its own: a command that runs only the worker has no others.
    retries = {step: Retries() for step in ("attach_sid", "end_claim", "undo")}
    rules = new_rules(settings, store, providers.senders, retries=retries, wake=worker.wake, event_log=event_log)
    # Each kind of entry adds its worker.
    parts = [part for part in (worker, lost_messages, rolling_up, rules.fallback) if part is not None]
    running = {asyncio.create_task(part.run()) for part in parts}
    try:
        yield worker
    finally:
        for part in parts:
            part.stop()
        for steps in (settlements, *retries.values()):
            steps.stop(DRAIN_SECONDS)
        _, unfinished = await asyncio.wait(running, timeout=DRAIN_SECONDS)
        for task in unfinished:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        for steps in (settlements, *retries.values()):
            await steps.idle()


def _lost_messages(
    settings: Settings, store: Store, messages: MessageList, worker: OutboxWorker, event_log: EventLog
) -> LostMessages | None:
    policy = lookup_policy(settings)
    if policy is None:
        return None
    return LostMessages(
        RedisLostMessages(store.scripts, store.keyring),
        store.verifications,
        messages,
        store.keyring,
        policy=policy,
        retries=worker.settlements,
        wake=worker.wake,
        event_log=event_log,
    )
