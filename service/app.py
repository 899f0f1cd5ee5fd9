"""The composition root: builds every part, joins them, opens and closes them in order.

Read it top to bottom and you have seen the whole service. Opening goes Redis, Twilio, worker, doors.
Closing goes backwards: the server has answered its last request by then; the worker claims no more,
finishes what it holds and settles it; only then do the connections to Twilio and Redis close.
"""

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp

from service.adapters.embedded import embedded_valkey
from service.adapters.multiplexer import open_multiplexer
from service.adapters.redis_ledgers import RedisApiKeys, RedisIdempotency, RedisLimits, RedisStats
from service.adapters.redis_owed import RedisConfirmations
from service.adapters.redis_store import RecordPolicy, RedisVerifications
from service.adapters.scripts import Scripts
from service.adapters.twilio_gateway import TwilioAccount, TwilioGateway, open_twilio
from service.adapters.twilio_signature import TwilioSignature
from service.api.application import new_application
from service.api.auth import Authenticator
from service.api.express import Express
from service.api.keys import Scope
from service.api.operations import OperationsDoors, OperationsView
from service.api.schemas import Answers
from service.api.trail import Trail
from service.api.verifications import VerificationDoors
from service.api.webhooks import WebhookDoors
from service.core.confirming import Confirming, ConfirmPolicy
from service.core.delivery import DeliveryReports
from service.core.guard import Guard, GuardPolicy
from service.core.idempotency import Idempotency
from service.core.issuing import IssuePolicy, Issuing
from service.core.keyring import Keyring
from service.core.ports import Journal
from service.core.sending import Sending
from service.core.verifying import Verifying
from service.settings import Settings, load_settings
from service.telemetry import metrics_text, open_journal

VERSION = "0.1.0"
_DRAIN_SECONDS = 8.0


def create_app(
    settings: Settings | None = None, *, journal: Journal | None = None, mounts: Mapping[str, ASGIApp] | None = None
) -> ASGIApp:
    """Build the ASGI application; its parts are opened when the server starts it.

    `mounts` are foreign applications by path, for the demo; `serve` gives none.
    """
    settings = settings or load_settings()
    journal = journal or open_journal(settings.otp_log_level)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_doors(settings, journal) as doors:
            app.router.routes[:0] = doors  # in front of the docs: the router asks its routes in order
            # What is loaded by now stays: walking through it at every collection would stall requests for 50 ms.
            gc.collect()
            gc.freeze()
            journal("service_started", version=VERSION, pid=os.getpid())
            yield
        journal("service_stopped", pid=os.getpid())

    app = new_application(version=VERSION, lifespan=lifespan, with_docs=settings.otp_docs)
    app.router.routes.extend(Mount(path, mounted) for path, mounted in (mounts or {}).items())
    return Trail(_with_cors(Express(app, app.router.routes), settings), journal)


@asynccontextmanager
async def open_doors(settings: Settings, journal: Journal) -> AsyncIterator[list[BaseRoute]]:
    """Open the whole service, the worker with it unless `OTP_WORKER` is off; give its routes."""
    async with AsyncExitStack() as parts:
        scripts = await parts.enter_async_context(open_redis(settings))
        twilio = await parts.enter_async_context(open_twilio(twilio_account(settings)))
        wake: Callable[[str], None] = _wake_nobody
        if settings.otp_worker:
            worker = await parts.enter_async_context(open_worker(scripts, twilio, journal))
            wake = worker.wake
        yield _doors(settings, scripts, twilio, wake, journal)


@asynccontextmanager
async def open_redis(settings: Settings) -> AsyncIterator[Scripts]:
    """Open the way to Redis: `REDIS_URL`, or the embedded server of `OTP_DATA_DIR`. Nothing is asked yet."""
    async with AsyncExitStack() as parts:
        url = settings.redis_url or parts.enter_context(embedded_valkey(settings.otp_data_dir))
        multiplexer = await open_multiplexer(url)
        parts.push_async_callback(multiplexer.close)
        yield Scripts(multiplexer)


@asynccontextmanager
async def open_worker(scripts: Scripts, twilio: TwilioGateway, journal: Journal) -> AsyncIterator[Confirming]:
    """Run the worker; at the end let it finish what it holds, for at most 8 s (its leases cover the rest)."""
    worker = Confirming(RedisConfirmations(scripts), twilio, policy=ConfirmPolicy(), journal=journal)
    running = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        _, unfinished = await asyncio.wait({running}, timeout=_DRAIN_SECONDS)
        for task in unfinished:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def _doors(
    settings: Settings, scripts: Scripts, twilio: TwilioGateway, wake: Callable[[str], None], journal: Journal
) -> list[BaseRoute]:
    keyring = new_keyring(settings)
    store = RedisVerifications(scripts, keyring, _record_policy(settings))
    guard = Guard(RedisLimits(scripts), keyring, _guard_policy(settings))
    idempotency = Idempotency(RedisIdempotency(scripts), keyring)
    auth = Authenticator(RedisApiKeys(scripts), keyring, guard, trusted_proxies=settings.otp_trusted_proxies)
    issuing = Issuing(
        store=store,
        sending=Sending(store, twilio, brand=settings.otp_brand, wake=wake, journal=journal),
        guard=guard,
        idempotency=idempotency,
        keyring=keyring,
        policy=_issue_policy(settings),
        journal=journal,
    )
    verifications = VerificationDoors(
        issuing=issuing,
        verifying=Verifying(store, keyring, wake=wake, journal=journal),
        idempotency=idempotency,
        keyring=keyring,
        answers=Answers(max_attempts=settings.otp_max_attempts, max_sends=settings.otp_max_sends),
    )
    webhooks = WebhookDoors(
        DeliveryReports(store, wake=wake, journal=journal),
        TwilioSignature([token.get_secret_value() for token in settings.twilio_auth_token]),
        public_url=settings.otp_public_url,
    )
    operations = OperationsDoors(
        OperationsView(
            ping=scripts.ping,
            queue=RedisConfirmations(scripts).state,
            totals=RedisStats(scripts).totals,
            metrics_text=metrics_text,
        )
    )
    metrics_access = auth.key(Scope.OPERATE) if settings.otp_metrics_key else None
    return [*verifications.routes(auth), *webhooks.routes(), *operations.routes(metrics_access)]


def new_keyring(settings: Settings) -> Keyring:
    """Derive all keys. The settings must have both secrets (`settings.weak_secrets` says so in sentences)."""
    if settings.otp_index_key is None:
        raise ValueError("OTP_INDEX_KEY is not set")
    return Keyring(
        [key.get_secret_value().encode() for key in settings.otp_secret_keys],
        settings.otp_index_key.get_secret_value().encode(),
    )


def twilio_account(settings: Settings) -> TwilioAccount:
    """Say how to reach Twilio: an API key when there is one, else the newest Auth Token."""
    if settings.twilio_api_key is not None and settings.twilio_api_secret is not None:
        username, password = settings.twilio_api_key, settings.twilio_api_secret.get_secret_value()
    else:
        username, password = settings.twilio_account_sid or "", settings.twilio_auth_token[0].get_secret_value()
    return TwilioAccount(
        account_sid=settings.twilio_account_sid or "",
        username=username,
        password=password,
        messaging_service_sid=settings.twilio_messaging_service_sid,
        from_number=settings.twilio_from,
        base_url=settings.twilio_base_url,
        edge=settings.twilio_edge,
        region=settings.twilio_region,
        public_url=settings.otp_public_url,
        risk_check=settings.otp_risk_check,
        content_retention=settings.otp_content_retention,
        address_retention=settings.otp_address_retention,
    )


def _record_policy(settings: Settings) -> RecordPolicy:
    return RecordPolicy(
        late_window_seconds=settings.otp_late_window,
        max_attempts=settings.otp_max_attempts,
        max_sends=settings.otp_max_sends,
        supersede_codes=settings.otp_supersede_codes,
        number=settings.otp_limit_number,
        failed_checks=settings.otp_limit_failed_checks,
    )


def _guard_policy(settings: Settings) -> GuardPolicy:
    return GuardPolicy(
        client_ip=settings.otp_limit_ip,
        api_key=settings.otp_limit_key,
        prefix=settings.otp_limit_prefix,
        country=settings.otp_limit_country,
        day=settings.otp_limit_day,
        peer=settings.otp_limit_peer,
        require_client_ip=settings.otp_require_client_ip,
    )


def _issue_policy(settings: Settings) -> IssuePolicy:
    return IssuePolicy(
        code_length=settings.otp_code_length,
        ttl_seconds=settings.otp_code_ttl,
        allowed_countries=frozenset(settings.otp_countries),
    )


def _with_cors(app: ASGIApp, settings: Settings) -> ASGIApp:
    if not settings.otp_cors_origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=settings.otp_cors_origins,
        allow_methods=["GET", "POST"],
        allow_headers=["authorization", "content-type", "idempotency-key", "x-request-id"],
        expose_headers=["location", "retry-after", "x-request-id", "idempotent-replayed"],
        max_age=600,
    )


def _wake_nobody(_: str) -> None:
    """Do nothing: the worker runs elsewhere and polls."""
