"""The fields that every webhook of a call has, under Twilio's names."""

from service.sandbox.places import place_fields
from service.sandbox.records import Call
from service.sandbox.resources import API_VERSION


def call_fields(call: Call, account_sid: str) -> dict[str, str]:
    """Return the fields."""
    return {
        "AccountSid": account_sid,
        "ApiVersion": API_VERSION,
        "CallSid": call.sid,
        "CallStatus": call.status,
        "Direction": call.direction,
        "From": call.sender,
        "Caller": call.sender,
        "To": call.to,
        "Called": call.to,
        **place_fields(call.sender, "From", "Caller"),
        **place_fields(call.to, "To", "Called"),
    }
