"""Wires the reports, for the API, the commands and the worker."""

from starlette.routing import BaseRoute

from service.api.v1.reports import ReportEndpoints, report_routes
from service.config.settings import Settings
from service.core.reports.report import Conversion
from service.core.reports.unconverted import Unconverted
from service.http.authentication import Authenticator
from service.store.funnel import RedisFunnel
from service.store.scripts import Scripts


def new_conversion(settings: Settings, scripts: Scripts) -> Conversion:
    """Join the report with its store and the prices."""
    return Conversion(RedisFunnel(scripts), settings.otp_prices)


def reporting_routes(settings: Settings, scripts: Scripts, auth: Authenticator) -> list[BaseRoute]:
    """List the routes of the reports."""
    return report_routes(new_report_endpoints(settings, scripts), auth)


def new_report_endpoints(settings: Settings, scripts: Scripts) -> ReportEndpoints:
    """Join the endpoints of the reports, which the dashboard has at other paths too."""
    return ReportEndpoints(new_conversion(settings, scripts), Unconverted(RedisFunnel(scripts)))
