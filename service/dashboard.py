"""Builds the dashboard: joins its sessions, state and actions with Redis and the rules."""

from functools import partial

from starlette.routing import BaseRoute

from service.api.dashboard.actions import DashboardActions, Operations
from service.api.dashboard.page_files import page_routes
from service.api.dashboard.sessions import DashboardSessions
from service.api.dashboard.state import DashboardState, StateView
from service.api.v1.reports import REPORTS_SHARE
from service.config.policies import record_policy
from service.config.settings import Settings
from service.core.api_keys import Scope
from service.core.event_log import EventLog
from service.core.numbers import Numbers
from service.core.sessions import Sessions
from service.http.authentication import Authenticator
from service.http.route import DirectRoute
from service.reporting import new_report_endpoints
from service.store.confirmations import open_confirmations
from service.store.health import RedisHealth
from service.store.lost_messages import count_awaiting_sid
from service.store.numbers import RedisNumbers
from service.store.sessions import RedisSessions
from service.version import VERSION
from service.wiring import Rules, Store


def dashboard_routes(
    settings: Settings, store: Store, rules: Rules, auth: Authenticator, event_log: EventLog
) -> list[BaseRoute]:
    """List the routes of the dashboard."""
    scripts, keyring = store.scripts, store.keyring
    outbox = open_confirmations(scripts)
    sessions = DashboardSessions(
        Sessions(RedisSessions(scripts), keyring),
        auth,
        rules.limiter,
        trusted_proxies=settings.otp_trusted_proxies,
    )
    breakers = rules.breakers
    view = StateView(
        outbox=outbox,
        awaiting_sid=partial(count_awaiting_sid, scripts),
        health=RedisHealth(scripts).look,
        sending_halted=lambda: next((breaker.halted for breaker in breakers.values() if breaker.halted), None),
        version=VERSION,
    )
    numbers = Numbers(RedisNumbers(scripts, keyring, record_policy(settings)))
    operations = Operations(outbox, numbers.release, keyring.number_tag, event_log)
    reports = new_report_endpoints(settings, scripts)
    looks = sessions.access(Scope.REPORTS)
    report = partial(DirectRoute, access=looks, in_flight_share=REPORTS_SHARE, include_in_schema=False)
    return [
        *page_routes(),
        *sessions.routes(),
        report("/dashboard/reports/conversion", reports.conversion),
        report("/dashboard/reports/unconverted", reports.unconverted),
        *DashboardState(view).routes(looks),
        *DashboardActions(operations).routes(sessions.access(Scope.OPERATE)),
    ]
