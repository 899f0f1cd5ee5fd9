"""Fields: the types of the values in `bodies` and `schemas`, and in the routes' paths.

Each has the same rule twice, for pydantic and for the OpenAPI document, so that a client that validates with the
document accepts and refuses the same values.
"""

import re
from typing import Annotated, Any

from fastapi import Path
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from service.core.actions import password
from service.core.actions.code import LONGEST, LONGEST_TYPED, SHORTEST, TYPED_PATTERN, read
from service.core.actions.link import LONGEST_ORIGIN_TEXT
from service.core.addresses import read_address
from service.core.channels import LONGEST_WAIT_SECONDS, SHORTEST_WAIT_SECONDS
from service.core.hosts import HOST_PATTERN, LONGEST_HOST, SCHEME, read_host
from service.core.payment import LONGEST_AMOUNT, LONGEST_PAYEE, read_amount, read_payee
from service.core.phone import LONGEST_TYPED as LONGEST_TYPED_NUMBER
from service.core.phone import REGIONS
from service.core.phone import TYPED_PATTERN as TYPED_NUMBER
from service.core.plain_text import read_plain_text
from service.core.texts import LOCALES, UNREVIEWED
from service.core.texts.negotiation import LONGEST_TAG, TAG_PATTERN
from service.core.verification import ID_PATTERN

# `core.plain_text` for the document: exact for ASCII. Of other characters it accepts every one but the line breaks and
# control characters, because no two dialects of patterns write "a character that can be seen" alike.
_PLAIN_TEXT = r"^(?=.*[^ ])(?:[^\u0000-\u001f\u007f-\u009f\u2028\u2029<>@/\\.]|\.(?=[ \u00a0\u202f\u3000]|$))+$"
_PLAIN_TEXT_WITH = r"(?=.*[^ ])(?:[^\u0000-\u001f\u007f-\u009f\u2028\u2029<>@/\\.]|\.(?=[ \u00a0\u202f\u3000]|$)|{})+$"
_AMOUNT = r"^(?=.*(?:[0-9]|[^\u0000-\u007f]))" + _PLAIN_TEXT_WITH.format(r"\.(?=[0-9-]|[^\u0000-\u007f])")
_PAYEE = "^" + _PLAIN_TEXT_WITH.format(r"/(?=[0-9A-Za-z_]|[^\u0000-\u007f])")


def _language_tag(value: str) -> str:
    if len(value) > LONGEST_TAG or re.fullmatch(TAG_PATTERN, value) is None:
        raise ValueError("This is not a language tag. Write one such as de or pt-BR.")
    return value


def _known_region(value: str) -> str:
    if value not in REGIONS:
        raise ValueError("This is not a region. Write one as in ISO 3166-1, two capital letters such as GB.")
    return value


def _address(value: str) -> str:
    try:
        ip = read_address(value)
    except ValueError:
        ip = None
    # A zone (`fe80::1%eth0`) has a meaning on one host only; the document's `ipv6` has none.
    if ip is None or "%" in value:
        raise ValueError("This is not an address. Write an IPv4 or IPv6 address.")
    return str(ip)


def _whole(value: Any) -> Any:
    # In JSON Schema, and so in the document, 6.0 is an integer; in pydantic's strict mode it is not.
    return int(value) if isinstance(value, float) and value.is_integer() else value


# `json_schema_extra` is for the document only; responses are not validated.
Purpose = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,32}$", description="What the proof is for.", examples=["login"])]
VerificationId = Annotated[
    str,
    Path(description="`id` of the verification.", pattern=ID_PATTERN, examples=["ve_3f0917cf2a8b4c5d9e6f7a8b9c0d1e2f"]),
]
Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
LANGUAGES = (
    "Language of the message, as a language tag (BCP 47): the nearest of ours, which the response names. Default, and "
    f"for other languages: `OTP_LOCALE`. There are texts in {', '.join(LOCALES)}. Not reviewed by two independent "
    f"sources: {'all of them' if UNREVIEWED == LOCALES else ', '.join(UNREVIEWED)}."
)
LanguageTag = Annotated[
    str,
    AfterValidator(_language_tag),
    Field(json_schema_extra={"pattern": TAG_PATTERN, "maxLength": LONGEST_TAG}),
]
Region = Annotated[str, AfterValidator(_known_region), Field(json_schema_extra={"enum": sorted(REGIONS)})]
TypedNumber = Annotated[str, Field(max_length=LONGEST_TYPED_NUMBER, json_schema_extra={"pattern": TYPED_NUMBER})]
Host = Annotated[
    str,
    AfterValidator(read_host),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": f"^{scheme}{HOST_PATTERN}$", "maxLength": len(scheme) + LONGEST_HOST}
                for scheme in ("", SCHEME)
            ]
        }
    ),
]
TypedCode = Annotated[
    str,
    AfterValidator(read),
    Field(json_schema_extra={"pattern": TYPED_PATTERN, "minLength": SHORTEST, "maxLength": LONGEST_TYPED}),
]
TypedPassword = Annotated[
    str,
    AfterValidator(password.read),
    Field(
        json_schema_extra={
            "pattern": password.TYPED_PATTERN,
            "minLength": password.SHORTEST,
            "maxLength": password.LONGEST_TYPED,
        }
    ),
]
PasswordLength = Annotated[int, Field(ge=password.SHORTEST, le=password.LONGEST), BeforeValidator(_whole)]
OriginText = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_ORIGIN_TEXT, json_schema_extra={"pattern": _PLAIN_TEXT}),
    AfterValidator(read_plain_text),
]
Amount = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_AMOUNT, json_schema_extra={"pattern": _AMOUNT}),
    AfterValidator(read_amount),
]
Payee = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_PAYEE, json_schema_extra={"pattern": _PAYEE}),
    AfterValidator(read_payee),
]
LinkReturn = Annotated[int, Field(ge=0, le=99), BeforeValidator(_whole)]
CodeLength = Annotated[int, Field(ge=SHORTEST, le=LONGEST), BeforeValidator(_whole)]
Lifetime = Annotated[int, Field(ge=30, le=password.LONGEST_TTL_SECONDS), BeforeValidator(_whole)]
Wait = Annotated[int, Field(ge=SHORTEST_WAIT_SECONDS, le=LONGEST_WAIT_SECONDS), BeforeValidator(_whole)]
Address = Annotated[
    str,
    AfterValidator(_address),
    WithJsonSchema({"anyOf": [{"type": "string", "format": form} for form in ("ipv4", "ipv6")]}),
]
