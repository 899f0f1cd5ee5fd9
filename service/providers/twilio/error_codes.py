"""Twilio's error codes: which of them pass, and what the others refuse.

(https://www.twilio.com/docs/api/errors)
"""

from service.core.sender import ENDS_LIST, Refusal

# Refused now, accepted later; no message exists. The value is our pause in seconds if Twilio names none. It is longer
# than a caller waits where a repeat at once would be refused again.
PASSING: dict[int, float | None] = {
    10004: 5.0,  # too many calls at once
    14107: 30.0,  # over 15 replies between two numbers, each within 30 s
    20429: None,  # too many requests at once; never processed
    21611: 600.0,  # over 10 h of messages wait for this From
    21730: 60.0,  # scheduled maintenance
    30001: 60.0,  # queue overflow
    30017: 60.0,  # carrier congestion
    30022: 10.0,  # 10DLC rate
    # Daily caps, most of them rolling: try again after an hour.
    30023: 3600.0,  # of a 10DLC campaign
    30027: 3600.0,  # of T-Mobile
    30454: 3600.0,  # of a trial account
    63010: 60.0,  # WhatsApp fails inside Twilio
    63012: 60.0,  # WhatsApp itself fails
    63017: 1.0,  # over 2000 messages/s
    63018: 1.0,  # the rate of a channel
    63038: 3600.0,  # of the account
    63119: 60.0,  # Meta's rate
}

_PERMANENT: dict[Refusal, tuple[int, ...]] = {
    # 13224: it cannot be called. 63003 and 63024: it is not on WhatsApp.
    Refusal.INVALID_NUMBER: (13224, 21211, 21214, 21217, 21266, 63003, 63024),
    Refusal.COUNTRY_NOT_ALLOWED: (13227, 21215, 21408, 60605),
    Refusal.RECIPIENT_OPTED_OUT: (21610,),
    # ... or a short code, a premium-rate number, a landline
    Refusal.NOT_A_MOBILE_NUMBER: (21614, 21265, 21268, 21635),
    # 21606, 21612, 21659 and 21703 concern the pair of To and sender, so one odd number or one country can cause them:
    # no alarm for the operator. The compliance toolkit's 30610 (quiet hours) and 30640 concern the number.
    # WhatsApp's 63013 (its policy), 63014 (blocked by the person), 63023 (no reason), 63032 (Meta's experiment with the
    # number) and 63033 (blocked) do so too.
    Refusal.CARRIER_REJECTED: (
        *(21606, 21612, 21618, 21659, 21703, 30610, 30640),
        *(63013, 63014, 63023, 63032, 63033),
    ),
    # SMS pumping, Verify's fraud guard, numbers that Twilio does not call
    Refusal.BLOCKED: (13225, 21216, 30450, 30453, 60410),
    Refusal.CREDENTIALS_REFUSED: (10001, 20003, 20005, 20006, 20008, 20403, 30002, 70051),
    # In the 30xxx range, but about our sender and its registration, not about the carrier.
    Refusal.SENDER_MISCONFIGURED: (
        *(30011, 30012, 30013, 30014, 30015, 30016, 30018, 30019, 30024, 30029, 30030),
        *(30032, 30033, 30034, 30035, 30700),
    ),
}

# For codes that neither table has. The rest of 20xxx, 21xxx and 63xxx concerns requests, senders, services and the
# templates of WhatsApp: none (63016), a wrong one (63027 to 63029), one of the category Marketing (63049) …
_RANGES: tuple[tuple[range, Refusal], ...] = (
    (range(20000, 22000), Refusal.SENDER_MISCONFIGURED),
    (range(30000, 31000), Refusal.CARRIER_REJECTED),
    (range(60000, 61000), Refusal.BLOCKED),
    (range(63000, 64000), Refusal.SENDER_MISCONFIGURED),
)

_REFUSALS = {code: refusal for refusal, codes in _PERMANENT.items() for code in codes}


def refusal_of(error_code: int | None) -> Refusal | None:
    """Return what a code says of a refusal: by the tables, else by its range; None if neither has it."""
    if error_code is None:
        return None
    by_range = (refusal for codes, refusal in _RANGES if error_code in codes)
    return _REFUSALS.get(error_code) or next(by_range, None)


def may_follow(error_code: int | None) -> bool:
    """Tell whether another channel may follow a message that failed with this code."""
    return refusal_of(error_code) not in ENDS_LIST
