"""The composition root: builds every part, joins them, opens and closes them in order.

It opens Redis, the providers, the worker and the endpoints, in this order, and closes them in the reverse order. By
then the server has answered its last request. The worker claims no more and finishes what it has claimed; then the
connections to the providers and to Redis close.
"""

import gc
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from service.api.application import new_application
from service.api.operations import OperationsEndpoints, OperationsView
from service.api.pages.link_page import LinkPage
from service.api.pages.link_routes import LinkEndpoints
from service.api.twilio.routes import webhook_routes
from service.api.twilio.signed_forms import SignedForms
from service.api.v1.routes import verification_routes
from service.api.v1.schemas import ResponseWriter
from service.api.v1.verifications import VerificationEndpoints
from service.config.policies import new_connections, signing_secrets, wait_policy
from service.config.settings import Settings, load_settings
from service.core.api_keys import Scope
from service.core.delivery import DeliveryReports
from service.core.event_log import EventLog
from service.core.outbox import OutboxWorker
from service.core.retrying import Retries
from service.core.spoken_codes import SpeechSeal, SpokenCodes
from service.dashboard import dashboard_routes
from service.embedded.server import embedded_valkey_beside
from service.event_loop import EventLoopLag
from service.http.authentication import Authenticator
from service.http.direct_router import DirectRouter
from service.http.middleware import RequestMiddleware
from service.http_server import Connections
from service.logs.dropped_lines import counting_dropped_lines
from service.logs.event_log import open_event_log, request_log_of
from service.logs.tracebacks import kind_and_place
from service.metrics import metrics_text
from service.providers.twilio.signature import TwilioSignature
from service.redis_client import open_redis_client
from service.reporting import reporting_routes
from service.store.confirmations import open_confirmations
from service.store.error_counts import ErrorCounts, counted_errors
from service.store.health import RedisHealth
from service.store.ledgers import RedisApiKeys, RedisStats
from service.store.lost_messages import count_awaiting_sid
from service.store.scripts import CLIENT_NAME, Scripts
from service.version import VERSION
from service.wiring import DRAIN_SECONDS, Providers, Rules, Store, new_rules, new_store, open_providers, open_worker

_OWN_HEADERS = ("authorization", "content-type", "idempotency-key", "x-request-id")
_TRACE_HEADERS = ("traceparent", "tracestate", "baggage", "sentry-trace")  # a page's tracing adds them to each request
# Objects made and not freed before the collector looks for cycles. Requests make hardly any cycles, but hundreds of
# requests in flight hold many objects: with Python's default of 700 every tenth check would run the collector.
_COLLECT_AFTER = 10_000


def create_app(
    settings: Settings | None = None, *, event_log: EventLog | None = None, routes: Sequence[BaseRoute] = ()
) -> RequestMiddleware:
    """Build the ASGI application; its parts are opened when the server starts it.

    `routes` are foreign ones, for the demo; `serve` gives none.
    """
    settings = settings or load_settings()
    event_log = event_log or open_event_log(settings.otp_log_level)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            async with open_endpoints(settings, event_log, connections) as endpoints:
                app.router.routes[:0] = (
                    endpoints  # for the OpenAPI page, and to tell a wrong method from a wrong address
                )
                router.add_routes(endpoints)
                # What is loaded now stays: the collector would take 50 ms to walk through it each time.
                gc.collect()
                gc.freeze()
                gc.set_threshold(_COLLECT_AFTER)
                event_log("service_started", version=VERSION, pid=os.getpid())
                yield
        except Exception as fault:
            event_log("service_failed", pid=os.getpid(), **kind_and_place(fault))
            raise
        event_log("service_stopped", pid=os.getpid())

    home = "/" if any(isinstance(route, Route) and route.path == "/" for route in routes) else None
    app = new_application(version=VERSION, lifespan=lifespan, with_docs=settings.otp_docs, home=home)
    app.router.routes.extend(routes)
    router = DirectRouter(app, max_in_flight=settings.otp_max_in_flight)
    router.add_routes(app.routes)
    connections = new_connections(settings, event_log)
    origins = settings.otp_cors_origins
    wrapped = _with_cors(router, origins) if origins else router
    request_log = request_log_of(event_log)
    return RequestMiddleware(wrapped, router, event_log, request_log, connections=connections, has_cors=bool(origins))


@asynccontextmanager
async def open_endpoints(
    settings: Settings, event_log: EventLog, connections: Connections
) -> AsyncIterator[list[BaseRoute]]:
    """Open the whole service, with the worker unless `OTP_WORKER` is off; yield its routes."""
    async with AsyncExitStack() as parts:
        scripts = await parts.enter_async_context(open_redis(settings))
        await parts.enter_async_context(counting_dropped_lines(RedisStats(scripts).add))
        errors = await parts.enter_async_context(counted_errors(scripts))
        providers = await parts.enter_async_context(open_providers(settings))
        # Ended in reverse: what is undone ends its claim.
        retries = {step: Retries() for step in ("attach_sid", "end_claim", "undo", "replicate")}
        store = new_store(settings, scripts, retries=retries["replicate"], event_log=event_log)
        for steps in retries.values():
            parts.push_async_callback(steps.idle)
        worker: OutboxWorker | None = None
        if settings.otp_worker:
            worker = await parts.enter_async_context(open_worker(settings, store, providers, event_log))
        for steps in retries.values():
            parts.callback(steps.stop, DRAIN_SECONDS)  # at the same time as the worker
        lag = EventLoopLag(event_log)
        parts.callback(lag.stop)
        yield _endpoints(
            settings,
            store,
            providers,
            worker=worker,
            retries=retries,
            errors=errors,
            lag=lag,
            event_log=event_log,
            connections=connections,
        )


@asynccontextmanager
async def open_redis(settings: Settings) -> AsyncIterator[Scripts]:
    """Open the client of Redis: of `REDIS_URL`, or of the embedded server in `OTP_DATA_DIR`. Sends nothing yet."""
    async with AsyncExitStack() as parts:
        url = settings.redis_url
        if url is None:
            url = await parts.enter_async_context(embedded_valkey_beside(settings.otp_data_dir))
        client = await open_redis_client(url, client_name=CLIENT_NAME, wait=wait_policy(settings))
        parts.push_async_callback(client.close)
        yield Scripts(client)


def _endpoints(
    settings: Settings,
    store: Store,
    providers: Providers,
    *,
    worker: OutboxWorker | None,
    retries: Mapping[str, Retries],
    errors: ErrorCounts,
    lag: EventLoopLag,
    event_log: EventLog,
    connections: Connections,
) -> list[BaseRoute]:
    wake = (lambda _: None) if worker is None else worker.wake  # a worker of another process polls
    rules = new_rules(settings, store, providers.senders, retries=retries, wake=wake, event_log=event_log)
    auth = Authenticator(
        RedisApiKeys(store.scripts), store.keyring, rules.limiter, trusted_proxies=settings.otp_trusted_proxies
    )
    verifications = VerificationEndpoints(
        issuing=rules.issuing,
        checking=rules.checking,
        searching=rules.searching,
        idempotency=rules.idempotency,
        keyring=store.keyring,
        responses=ResponseWriter(max_attempts=settings.otp_max_attempts, max_sends=settings.otp_max_sends),
    )
    links = LinkEndpoints(
        rules.links,
        rules.limiter,
        store.profiles,
        LinkPage(
            settings.otp_brand,
            locale=settings.otp_locale,
            return_urls=settings.otp_link_return_urls,
            max_attempts=settings.otp_max_attempts,
        ),
        trusted_proxies=settings.otp_trusted_proxies,
    )
    reports = DeliveryReports(store.verifications, wake=wake, event_log=event_log)
    seal = SpeechSeal(store.keyring)
    waiting = {**retries, **({} if worker is None else {"settle": worker.settlements})}
    operations = _operations(store, rules, waiting, errors, lag=lag, connections=connections)
    metrics_access = auth.key(Scope.OPERATE) if settings.otp_metrics_key else None
    return [
        *verification_routes(verifications, auth),
        *webhook_routes(
            SignedForms(
                TwilioSignature(*signing_secrets(settings)), public_url=settings.otp_public_url, event_log=event_log
            ),
            reports=reports,
            codes=SpokenCodes(store.verifications, seal, reports, supersede_codes=settings.otp_supersede_codes),
            inbound=rules.inbound,
        ),
        *links.routes(),
        *reporting_routes(settings, store.scripts, auth),
        *operations.routes(metrics_access),
        *dashboard_routes(settings, store, rules, auth, event_log),
    ]


def _operations(
    store: Store,
    rules: Rules,
    waiting: Mapping[str, Retries],
    errors: ErrorCounts,
    *,
    lag: EventLoopLag,
    connections: Connections,
) -> OperationsEndpoints:
    return OperationsEndpoints(
        OperationsView(
            health=RedisHealth(store.scripts).look,
            queue=open_confirmations(store.scripts).state,
            awaiting_sid=partial(count_awaiting_sid, store.scripts),
            budget=rules.limiter.budget_use,
            totals=RedisStats(store.scripts).totals,
            sending_halted=lambda: next(
                (breaker.halted for breaker in rules.breakers.values() if breaker.halted), None
            ),
            is_draining=lambda: connections.is_draining,
            event_loop_lag=lambda: lag.seconds,
            waits=store.replicated,
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
