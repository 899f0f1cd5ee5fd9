"""The part of the catalogue of problems that says why no message can be sent as asked, all with status 422."""

from collections.abc import Mapping
from typing import NamedTuple

from service.core.sender import Refusal


class Kind(NamedTuple):
    """One kind of problem."""

    status: int
    title: str
    detail: str | None  # of a problem that has no detail of its own
    fix: str  # for developers; only the page shows it


UNSENDABLE: Mapping[str, Kind] = {
    "client_ip_required": Kind(
        422,
        "The request must name the person's client_ip",
        "This service limits sends by address. Send the address of the person, not your own, as client_ip.",
        "Send `client_ip`. It is required because `OTP_REQUIRE_CLIENT_IP` is on.",
    ),
    "sender_cannot_receive": Kind(
        422,
        "Nobody can reply to the sender, or call it",
        "Nobody can reply to our sender. Use a code or a link.",
        "A name of letters receives nothing. For calls set `OTP_CALL_NUMBER`, unless `TWILIO_FROM` is a number.",
    ),
    "channel_unavailable": Kind(
        422,
        "No sender is set up for this channel",
        "No sender is set up for this channel. Choose another channel.",
        "Choose another channel, or set up a sender for this one: `detail` names the setting.",
    ),
    Refusal.INVALID_NUMBER: Kind(
        422,
        "The number cannot receive a message",
        "This number cannot receive a message. Check it, or use another one.",
        "Send the number in E.164 form, or with its `country`. One that is not on WhatsApp needs another channel.",
    ),
    Refusal.COUNTRY_NOT_ALLOWED: Kind(
        422,
        "Messages are not sent to this country",
        "Messages are not sent to the country of this number. Use another number.",
        "Add the country to `OTP_COUNTRIES`, or to the list of its channel (`OTP_COUNTRIES_VOICE`), and in the "
        "Geo Permissions of the Twilio account, which are apart for messages and calls.",
    ),
    Refusal.RECIPIENT_OPTED_OUT: Kind(
        422,
        "The recipient has opted out of messages",
        "This number has opted out. Text START to the sender of our messages, then try again.",
        "Only the recipient can opt in again, by texting START to the sender.",
    ),
    Refusal.NOT_A_MOBILE_NUMBER: Kind(
        422,
        "The number is not a mobile number",
        "This number cannot receive messages. Use a mobile number.",
        "Ask for a mobile number. `OTP_LINE_TYPES` says which kinds of number get messages.",
    ),
    Refusal.CARRIER_REJECTED: Kind(
        422,
        "The message cannot be delivered to this number",
        "The message could not be delivered. Use another number.",
        "Ask for another number. The error code of the send says what the carrier objects to.",
    ),
    Refusal.BLOCKED: Kind(
        422,
        "Messages to this number are blocked for now",
        "We cannot send messages to this number right now. Use another one, or try again in an hour.",
        "Try again later. If many numbers are blocked, look at the SMS Pumping Protection of the Twilio account.",
    ),
}
