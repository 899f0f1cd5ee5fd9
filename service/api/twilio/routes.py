"""The routes of Twilio's webhooks."""

from starlette.routing import BaseRoute

from service.api.twilio.inbound_calls import InboundCallEndpoint
from service.api.twilio.inbound_messages import InboundMessageEndpoint
from service.api.twilio.outbound_calls import OutboundCallEndpoint
from service.api.twilio.signed_forms import SignedForms
from service.api.twilio.status_callbacks import StatusCallbackEndpoint
from service.core.delivery import DeliveryReports
from service.core.inbound import Inbound
from service.core.spoken_codes import SpokenCodes


def webhook_routes(
    forms: SignedForms,
    *,
    reports: DeliveryReports,
    codes: SpokenCodes,
    inbound: Inbound,
) -> list[BaseRoute]:
    """List the routes of everything that Twilio calls."""
    return [
        *StatusCallbackEndpoint(reports, forms).routes(),
        *OutboundCallEndpoint(codes, reports, forms).routes(),
        *InboundMessageEndpoint(inbound, forms).routes(),
        *InboundCallEndpoint(inbound, forms).routes(),
    ]
