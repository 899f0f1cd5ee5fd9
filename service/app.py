"""The composition root: builds every part, joins them, opens and closes them in order.

Read it top to bottom and you have seen the whole service. Opening goes Redis, Twilio, worker, doors. Closing goes
backwards: the server has answered its last request by then; the worker claims no more, finishes what it holds and
settles it; only then do the connections to Twilio and Redis close.
"""

import gc
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from service.adapters.embedded import embedded_valkey_beside
from service.adapters.multiplexer import open_multiplexer
from service.adapters.redis_error_counts import ErrorCounts, counted_errors
from service.adapters.redis_health import RedisHealth
from service.adapters.redis_ledgers import RedisApiKeys, RedisStats
from service.adapters.redis_owed import RedisConfirmations
from service.adapters.scripts import Scripts
from service.adapters.twilio_gateway import TwilioGateway, open_twilio
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
from service.config.policies import new_connections, signing_secrets, twilio_account
from service.config.settings import Settings, load_settings
from service.core.breaker import Breaker
from service.core.confirming import Confirming
from service.core.delivery import DeliveryReports
from service.core.ports import Journal
from service.core.retrying import Retries
from service.dropped_lines import counting_dropped_lines
from service.http_server import Connections
from service.parts import DRAIN_SECONDS, new_rules, open_worker
from service.telemetry import metrics_text, open_journal
from service.tracebacks import kind_and_place

VERSION = "0.1.0"
_OWN_HEADERS = ("authorization", "content-type", "idempotency-key", "x-request-id")
_TRACE_HEADERS = ("traceparent", "tracestate", "baggage", "sentry-trace")  # a page's tracing adds them to each request
# Objects made and not yet freed, before the collector looks for cycles. Requests make next to none, and what is alive
# while hundreds are under way is no reason to look: at Python's 700 every tenth check would pay for a walk.
_COLLECT_AFTER = 10_000


def create_app(
    settings: Settings | None = None, *, journal: Journal | None = None, routes: Sequence[BaseRoute] = ()
) -> Trail:
    """Build the ASGI application; its parts are opened when the server starts it.

    `routes` are foreign ones, for the demo; `serve` gives none.
    """
    settings = settings or load_settings()
    journal = journal or open_journal(settings.otp_log_level)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            async with open_doors(settings, journal, connections) as doors:
                app.router.routes[:0] = doors  # for the OpenAPI page, and to tell a wrong method from a wrong address
                express.hang(doors)
                # What is loaded by now stays: walking through it at every collection would stall requests for 50 ms.
                gc.collect()
                gc.freeze()
                gc.set_threshold(_COLLECT_AFTER)
                journal("service_started", version=VERSION, pid=os.getpid())
                yield
        except Exception as fault:
            journal("service_failed", pid=os.getpid(), **kind_and_place(fault))
            raise
        journal("service_stopped", pid=os.getpid())

    app = new_application(version=VERSION, lifespan=lifespan, with_docs=settings.otp_docs)
    app.router.routes.extend(routes)
    express = Express(app, most_in_flight=settings.otp_max_in_flight)
    connections = new_connections(settings, journal)
    origins = settings.otp_cors_origins
    wrapped = _with_cors(express, origins) if origins else express
    return Trail(wrapped, express, journal, connections=connections, looks_at_origins=bool(origins))


@asynccontextmanager
async def open_doors(settings: Settings, journal: Journal, connections: Connections) -> AsyncIterator[list[BaseRoute]]:
    """Open the whole service, the worker with it unless `OTP_WORKER` is off; give its routes."""
    async with AsyncExitStack() as parts:
        scripts = await parts.enter_async_context(open_redis(settings))
        await parts.enter_async_context(counting_dropped_lines(RedisStats(scripts).add))
        errors = await parts.enter_async_context(counted_errors(scripts))
        twilio = await parts.enter_async_context(open_twilio(twilio_account(settings)))
        retries = {step: Retries() for step in ("attach_sid", "undo")}
        for steps in retries.values():
            parts.push_async_callback(steps.idle)
        worker: Confirming | None = None
        if settings.otp_worker:
            worker = await parts.enter_async_context(open_worker(settings, scripts, twilio, journal))
        for steps in retries.values():
            parts.callback(steps.stop, DRAIN_SECONDS)  # they and the worker have the same seconds, side by side
        yield _doors(
            settings,
            scripts,
            twilio,
            worker=worker,
            retries=retries,
            errors=errors,
            journal=journal,
            connections=connections,
        )


@asynccontextmanager
async def open_redis(settings: Settings) -> AsyncIterator[Scripts]:
    """Open the way to Redis: `REDIS_URL`, or the embedded server of `OTP_DATA_DIR`. Nothing is asked yet."""
    async with AsyncExitStack() as parts:
        url = settings.redis_url
        if url is None:
            url = await parts.enter_async_context(embedded_valkey_beside(settings.otp_data_dir))
        multiplexer = await open_multiplexer(url)
        parts.push_async_callback(multiplexer.close)
        yield Scripts(multiplexer)


def _doors(
    settings: Settings,
    scripts: Scripts,
    twilio: TwilioGateway,
    *,
    worker: Confirming | None,
    retries: Mapping[str, Retries],
    errors: ErrorCounts,
    journal: Journal,
    connections: Connections,
) -> list[BaseRoute]:
    wake = (lambda _: None) if worker is None else worker.wake  # one that runs elsewhere polls
    rules = new_rules(settings, scripts, twilio, retries=retries, wake=wake, journal=journal)
    auth = Authenticator(
        RedisApiKeys(scripts), rules.keyring, rules.guard, trusted_proxies=settings.otp_trusted_proxies
    )
    verifications = VerificationDoors(
        issuing=rules.issuing,
        verifying=rules.verifying,
        idempotency=rules.idempotency,
        keyring=rules.keyring,
        answers=Answers(max_attempts=settings.otp_max_attempts, max_sends=settings.otp_max_sends),
    )
    webhooks = WebhookDoors(
        DeliveryReports(rules.store, wake=wake, journal=journal),
        TwilioSignature(*signing_secrets(settings)),
        public_url=settings.otp_public_url,
    )
    waiting = {**retries, **({} if worker is None else {"settle": worker.settlements})}
    operations = _operations(scripts, rules.breaker, waiting, errors, connections)
    metrics_access = auth.key(Scope.OPERATE) if settings.otp_metrics_key else None
    return [*verifications.routes(auth), *webhooks.routes(), *operations.routes(metrics_access)]


def _operations(
    scripts: Scripts, breaker: Breaker, waiting: Mapping[str, Retries], errors: ErrorCounts, connections: Connections
) -> OperationsDoors:
    return OperationsDoors(
        OperationsView(
            health=RedisHealth(scripts).look,
            queue=RedisConfirmations(scripts).state,
            totals=RedisStats(scripts).totals,
            sending_halted=lambda: breaker.halted,
            is_draining=lambda: connections.is_draining,
            retries_waiting=lambda: {step: retries.waiting for step, retries in waiting.items()},
            errors_unwritten=lambda: errors.unwritten,
            metrics_text=metrics_text,
        )
    )


def _with_cors(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST"],
        allow_headers=[*_OWN_HEADERS, *_TRACE_HEADERS],
        expose_headers=["location", "retry-after", "x-request-id", "idempotent-replayed"],
        max_age=600,
    )
