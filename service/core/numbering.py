"""Prefixes that the `phonenumbers` library does not know yet, and that an operator adds (`OTP_EXTRA_PREFIXES`).

A prefix is accepted if it is longer than its region's calling code, and if the library assigns none of its numbers to
another region. At most the first six digits after a shared calling code identify the region, so every completion of the
prefix to six digits is tried.
"""

import re
from itertools import product

import phonenumbers
from phonenumbers import PhoneMetadata

_PREFIX = re.compile(r"\+[1-9][0-9]+")
_MOST_DIGITS = 10
_DIGITS_THAT_TELL = 6
_MOST_TRIED = 4  # digits: 10,000 ways
_KINDS = (
    "fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "personal_number", "voip", "pager", "uan",
    "voicemail",
)  # fmt: skip


def check_prefix(prefix: str, region: str) -> None:
    """Raise `ValueError` with a sentence when a prefix cannot be the region's."""
    if _PREFIX.fullmatch(prefix) is None:
        raise ValueError(
            f"{prefix!r} is no prefix: write a plus sign, the country code and more digits, as in +1621:US"
        )
    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f"{region!r} is no region: write two letters, as in +1621:US")
    if len(prefix) > len("+") + _MOST_DIGITS:  # it may be somebody's number, so it is not repeated
        raise ValueError(f"a prefix of {region} is too long: write at most {_MOST_DIGITS} digits")
    calling_code = f"+{phonenumbers.country_code_for_region(region)}"
    if not prefix.startswith(calling_code) or prefix == calling_code:
        raise ValueError(
            f"{prefix} must begin with the calling code of {region}, {calling_code}, and be longer than it"
        )
    owner = _owner(prefix.removeprefix(calling_code), calling_code, but=region)
    if owner is not None:
        raise ValueError(f"{prefix} holds numbers of {owner}, not of {region} alone: write a longer prefix")


def _owner(national: str, calling_code: str, *, but: str) -> str | None:
    """Find another region that the library gives a number with this beginning."""
    open_digits = min(_MOST_TRIED, max(0, _DIGITS_THAT_TELL - len(national)))
    beginnings = [national + "".join(digits) for digits in product("0123456789", repeat=open_digits)]
    for region in phonenumbers.region_codes_for_country_code(int(calling_code[1:])):
        plan = None if region in (but, "001") else PhoneMetadata.metadata_for_region(region)
        if plan is None or plan.general_desc is None:
            continue
        lengths = plan.general_desc.possible_length
        fits = _pattern(plan).fullmatch
        for length in lengths:
            for filler in "0159":
                if any(fits(beginning.ljust(length, filler)) for beginning in beginnings if len(beginning) <= length):
                    return str(region)
    return None


def _pattern(plan: PhoneMetadata) -> re.Pattern[str]:
    """Give the pattern of all numbers of a region; its general one is wider than its kinds together."""
    described = (getattr(plan, kind) for kind in _KINDS)
    return re.compile("|".join(f"(?:{kind.national_number_pattern})" for kind in described if kind is not None))
