"""Phone numbers as people of a country write them, by the numbering plans of libphonenumber."""

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

_TRUNK, _ABROAD = "0", "00"


def knows(country: str) -> bool:
    """Whether there is a numbering plan for this country (ISO 3166-1 alpha-2, upper case)."""
    return country in phonenumbers.SUPPORTED_REGIONS


def international(text: str, country: str) -> str | None:
    """A number of the country, or an international one, as `+` and digits (E.164); None where it is neither.

    Spreadsheets take leading zeros and plus signs away. What is left without either is read with the country's own code
    where that makes a number: `491711234567` in DE is that of somebody who wrote `+49`.
    """
    text = text.strip()
    if any(letter.isalpha() for letter in text):
        # The library reads words (`1-800-FLOWERS`), extensions, and 4,91711E+11.
        return None
    if text.startswith(_ABROAD):
        text = f"+{text.removeprefix(_ABROAD)}"
    code = str(phonenumbers.country_code_for_region(country))
    if text.startswith(code) and not text.startswith(_TRUNK):
        number = _valid(f"+{text}", country)
        if number is not None:
            return number
    return _valid(text, country)


def _valid(text: str, country: str) -> str | None:
    try:
        number = phonenumbers.parse(text, country)
    except NumberParseException:
        return None
    return phonenumbers.format_number(number, PhoneNumberFormat.E164) if phonenumbers.is_valid_number(number) else None
