"""Writes numbers and Messaging Services as Twilio's JSON: the API of 2010 with RFC 2822 dates, the newer with ISO 8601.

Shapes: https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource and
https://www.twilio.com/docs/messaging/api/service-resource.
"""

from datetime import datetime
from email.utils import format_datetime

from service.sandbox.account import MessagingService, OwnNumber
from service.sandbox.resources import API_VERSION

_MESSAGING = "https://messaging.twilio.com/v1/Services"
_LINKS = {
    "phone_numbers": "PhoneNumbers",
    "short_codes": "ShortCodes",
    "alpha_senders": "AlphaSenders",
    "messages": "Messages",
    "us_app_to_person": "Compliance/Usa2p",
    "us_app_to_person_usecases": "Compliance/Usa2p/Usecases",
    "channel_senders": "ChannelSenders",
}


def number_resource(number: OwnNumber, account_sid: str) -> dict[str, object]:
    """Return the IncomingPhoneNumber resource; a URL that is not set is empty."""
    uri = f"/{API_VERSION}/Accounts/{account_sid}/IncomingPhoneNumbers/{number.sid}"
    return {
        "account_sid": account_sid,
        "address_requirements": "none",
        "address_sid": None,
        "api_version": API_VERSION,
        "beta": False,
        "bundle_sid": None,
        "capabilities": {"fax": False, "mms": False, "sms": True, "voice": True},
        "date_created": format_datetime(number.created_at),
        "date_updated": format_datetime(number.updated_at),
        "emergency_address_sid": None,
        "emergency_address_status": "unregistered",
        "emergency_status": "Inactive",
        "friendly_name": number.number,
        "identity_sid": None,
        "origin": "twilio",
        "phone_number": number.number,
        "sid": number.sid,
        "sms_application_sid": "",
        "sms_fallback_method": "POST",
        "sms_fallback_url": "",
        "sms_method": number.sms_method,
        "sms_url": number.sms_url,
        "status": "in-use",
        "status_callback": "",
        "status_callback_method": "POST",
        "subresource_uris": {"assigned_add_ons": f"{uri}/AssignedAddOns.json"},
        "trunk_sid": None,
        "type": None,
        "uri": f"{uri}.json",
        "voice_application_sid": "",
        "voice_caller_id_lookup": False,
        "voice_fallback_method": "POST",
        "voice_fallback_url": "",
        "voice_method": number.voice_method,
        "voice_receive_mode": "voice",
        "voice_url": number.voice_url,
    }


def service_resource(service: MessagingService, account_sid: str) -> dict[str, object]:
    """Return the Service resource; a URL that is not set is null."""
    url = f"{_MESSAGING}/{service.sid}"
    return {
        "account_sid": account_sid,
        "area_code_geomatch": True,
        "date_created": iso8601(service.created_at),
        "date_updated": iso8601(service.updated_at),
        "fallback_method": "POST",
        "fallback_to_long_code": True,
        "fallback_url": None,
        "friendly_name": service.friendly_name,
        "inbound_method": service.inbound_method,
        "inbound_request_url": service.inbound_request_url or None,
        "links": {name: f"{url}/{path}" for name, path in _LINKS.items()},
        "mms_converter": True,
        "scan_message_content": "inherit",
        "sid": service.sid,
        "smart_encoding": False,
        "status_callback": None,
        "sticky_sender": True,
        "synchronous_validation": False,
        "url": url,
        "us_app_to_person_registered": False,
        "use_inbound_webhook_on_number": service.use_inbound_webhook_on_number,
        "usecase": "undeclared",
        "validity_period": 36000,
    }


def pool_resource(number: OwnNumber, service_sid: str, account_sid: str) -> dict[str, object]:
    """Return the PhoneNumber resource of a number in the sender pool of a service."""
    return {
        "account_sid": account_sid,
        "capabilities": ["SMS", "Voice"],
        "country_code": "US",
        "date_created": iso8601(number.created_at),
        "date_updated": iso8601(number.updated_at),
        "phone_number": number.number,
        "service_sid": service_sid,
        "sid": number.sid,
        "url": f"{_MESSAGING}/{service_sid}/PhoneNumbers/{number.sid}",
    }


def iso8601(moment: datetime) -> str:
    """Write an instant as the newer APIs do."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
