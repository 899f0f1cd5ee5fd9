"""The promises of `service.core.numbering`: an extra prefix takes no numbers from another region."""

import phonenumbers
import pytest

from service.core.numbering import check_prefix


@pytest.mark.parametrize(("prefix", "region"), [("+1621", "US"), ("+49199", "DE"), ("+4473", "GB"), ("+262639", "YT")])
def test_a_new_prefix_of_a_region_is_accepted(prefix: str, region: str) -> None:
    """A prefix that the library assigns to no other region belongs to the region that the operator names."""
    check_prefix(prefix, region)


@pytest.mark.parametrize(
    ("prefix", "region", "sentence"),
    [
        ("+1", "US", "more digits"), ("+49", "DE", "be longer"), ("+44", "DE", "begin with the calling code"),
        ("1621", "US", "plus sign"), ("+1621x", "US", "plus sign"), ("+1621", "UK", "no region"),
        ("+1621", "us", "no region"), ("+16211234567", "US", "^a prefix of US is too long: write at most 10 digits$"),
        ("+1868", "US", "numbers of TT"), ("+12", "US", "holds numbers of"), ("+7700", "RU", "numbers of KZ"),
        ("+4477", "GB", "numbers of"), ("+3906698", "IT", "numbers of VA"), ("+1800", "US", "holds numbers of"),
    ],
)  # fmt: skip
def test_an_invalid_prefix_of_a_region_is_refused(prefix: str, region: str, sentence: str) -> None:
    """A malformed prefix, a whole country code and a prefix of another region are refused with the reason."""
    with pytest.raises(ValueError, match=sentence):
        check_prefix(prefix, region)


def test_no_region_can_be_given_the_numbers_of_its_neighbour() -> None:
    """For every region with a shared calling code, the prefix of its mobile numbers is refused for other regions."""
    tried = 0
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        for region in regions[1:]:
            number = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
            if number is None or phonenumbers.region_code_for_number(number) != region:
                continue
            prefix = f"+{code}{phonenumbers.national_significant_number(number)[:5]}"
            with pytest.raises(ValueError, match="holds numbers of"):
                check_prefix(prefix, regions[0])
            tried += 1
    assert tried >= 25
