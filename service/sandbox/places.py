"""The fields by which a webhook tells where the two ends of a message or call are; Twilio knows only some of them."""

import phonenumbers


def place_fields(number: str, *prefixes: str) -> dict[str, str]:
    """Return the City, State, Zip and Country of a number under each prefix. All but the country are empty."""
    place = {"City": "", "State": "", "Zip": "", "Country": _country(number)}
    return {f"{prefix}{name}": value for prefix in prefixes for name, value in place.items()}


def _country(number: str) -> str:
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number)) or ""
    except phonenumbers.NumberParseException:
        return ""
