"""Phone numbers as people of a country write them, by the numbering plans of libphonenumber."""

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

_ABROAD = "00"


def knows(country: str) -> bool:
    """Whether there is a numbering plan for this country (ISO 3166-1 alpha-2, upper case)."""
    return country in phonenumbers.SUPPORTED_REGIONS


def international(text: str, country: str) -> str | None:
    """A number of the country, or an international one, as `+` and digits (E.164); None where it is neither.

    Spreadsheets take leading zeros and plus signs away. What is left without either is read with the country's own code
    where that makes a number: `491711234567` in DE is that of somebody who wrote `+49`. Where numbers have no zero at home,
    one that is whole is nothing else: `48 308 10 98` in PL has not lost a plus.
    """
    text = text.strip()
    if any(letter.isalpha() for letter in text):
        # The library reads words (`1-800-FLOWERS`), extensions, and 4,91711E+11.
        return None
    if text.startswith(_ABROAD):
        text = f"+{text.removeprefix(_ABROAD)}"
    own = _valid(text, country)
    code = str(phonenumbers.country_code_for_region(country))
    if not text.startswith(code) or (own is not None and _is_whole_at_home(country)):
        return own
    return _valid(f"+{text}", country) or own


def _is_whole_at_home(country: str) -> bool:
    """Whether nothing stands before the numbers of a country at home that a spreadsheet could have taken away."""
    return phonenumbers.ndd_prefix_for_region(country, strip_non_digits=True) is None


def _valid(text: str, country: str) -> str | None:
    try:
        number = phonenumbers.parse(text, country)
    except NumberParseException:
        return None
    return phonenumbers.format_number(number, PhoneNumberFormat.E164) if phonenumbers.is_valid_number(number) else None
