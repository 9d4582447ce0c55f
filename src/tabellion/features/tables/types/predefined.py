"""Predefined attribute types: what they hold beyond their value type."""

import re
from collections.abc import Callable

import msgspec

from tabellion.features.tables.types.base import BadValue, ValueType
from tabellion.features.tables.types.moment import DATE
from tabellion.features.tables.types.text import STRING

EMAIL_ADDRESS = "EMAIL_ADDRESS"
GSM_NUMBER = "GSM_NUMBER"
MOTHER_LANGUAGE = "MOTHER_LANGUAGE"


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


# ISO 639-1, with SH, which older address files still hold.
LANGUAGES = _codes(
    "AA AB AE AF AK AM AN AR AS AV AY AZ BA BE BG BH BI BM BN BO BR BS CA CE CH CO CR CS CU CV CY DA DE "
    "DV DZ EE EL EN EO ES ET EU FA FF FI FJ FO FR FY GA GD GL GN GU GV HA HE HI HO HR HT HU HY HZ IA ID "
    "IE IG II IK IO IS IT IU JA JV KA KG KI KJ KK KL KM KN KO KR KS KU KV KW KY LA LB LG LI LN LO LT LU "
    "LV MG MH MI MK ML MN MR MS MT MY NA NB ND NE NG NL NN NO NR NV NY OC OJ OM OR OS PA PI PL PS PT QU "
    "RM RN RO RU RW SA SC SD SE SG SH SI SK SL SM SN SO SQ SR SS ST SU SV SW TA TE TG TH TI TK TL TN TO "
    "TR TS TT TW TY UG UK UR UZ VE VI VO WA WO XH YI YO ZA ZH ZU"
)
# ISO 3166-1 alpha-2, with XK, which postal services use for Kosovo.
COUNTRIES = _codes(
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT "
    "BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH "
    "ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT "
    "HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS "
    "LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI "
    "NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG "
    "SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG "
    "UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW"
)
# The addresses that mail systems really take: RFC 5321 sizes, RFC 5322 atoms, internationalised letters (RFC 6531).
_LOCAL = re.compile(r"[^\s\x00-\x20\x7f()<>\[\]:;@\\,.\"]+(?:\.[^\s\x00-\x20\x7f()<>\[\]:;@\\,.\"]+)*")
_LABEL = re.compile(r"[^\W_](?:(?:[^\W_]|-){0,61}[^\W_])?")
_PHONE = re.compile(r"\+?[\d\s./()-]+", re.ASCII)
_MAX_LOCAL, _MAX_ADDRESS, _MIN_PHONE, _MAX_PHONE = 64, 254, 6, 15


class Predefined(msgspec.Struct, frozen=True):
    """A predefined type: its value type, its v4 name, and the rule that a text must pass (it may be rewritten)."""

    name: str
    value_type: ValueType
    v4_name: str
    rule: Callable[[str], str] | None = None


def email(text: str) -> str:
    """A strict address, kept as sent. Raises `BadValue`."""
    local, at, domain = text.rpartition("@")
    labels = domain.split(".")
    fits = (
        at
        and text.isprintable()
        and len(local.encode()) <= _MAX_LOCAL
        and len(text.encode()) <= _MAX_ADDRESS
        and _LOCAL.fullmatch(local)
        and len(labels) > 1
        and all(_LABEL.fullmatch(label) for label in labels)
        and not labels[-1].isdigit()
    )
    if not fits:
        raise BadValue("expects an e-mail address", "attribute.value")
    return text


def phone(text: str) -> str:
    """A number as `+` and digits (E.164 sizes); blanks, dots, slashes and a `00` prefix are taken. Raises `BadValue`.

    `+32 (0)470 12 34 56` is read as people mean it. A number that starts with a single 0 is a national one: nobody could
    tell from which country, so it is refused.
    """
    text = text.strip()
    international = text.startswith(("+", "00"))
    digits = re.sub(r"\D", "", text.replace("(0)", "", 1) if international else text, flags=re.ASCII)
    if not text.startswith("+"):
        digits = digits.removeprefix("00")
    if not _PHONE.fullmatch(text) or not _MIN_PHONE <= len(digits) <= _MAX_PHONE or digits.startswith("0"):
        raise BadValue("expects an international phone number such as +32470123456", "attribute.value")
    return f"+{digits}"


def _one_of(choices: frozenset[str], expected: str, *, fold: Callable[[str], str]) -> Callable[[str], str]:
    def rule(text: str) -> str:
        folded = fold(text.strip())
        if folded not in choices:
            raise BadValue(f"expects {expected}", "attribute.value")
        return folded

    return rule


def _kept(text: str) -> str:
    return text


_TITLES = frozenset({"Mr", "Mrs", "Ms"})
PREDEFINED: dict[str, Predefined] = {
    predefined.name: predefined
    for predefined in (
        Predefined(EMAIL_ADDRESS, STRING, "EmailAddress", email),
        Predefined(GSM_NUMBER, STRING, "PhoneNumber", phone),
        Predefined("LASTNAME", STRING, "String"),
        Predefined("FIRSTNAME", STRING, "String"),
        Predefined("BIRTHDATE", DATE, "Datum"),
        Predefined("SEX", STRING, "String", _one_of(frozenset({"M", "F"}), "M or F", fold=str.upper)),
        Predefined(
            MOTHER_LANGUAGE,
            STRING,
            "String",
            _one_of(LANGUAGES, "a language code of ISO 639-1 such as NL", fold=str.upper),
        ),
        Predefined("PERSON_TITLE", STRING, "String", _one_of(_TITLES, "Mr, Mrs or Ms", fold=_kept)),
        *(
            Predefined(f"ADDRESS_{part}", STRING, "String")
            for part in ("STREET", "NUMBER", "BOX", "POSTAL_CODE", "LOCALITY")
        ),
        Predefined(
            "ADDRESS_COUNTRY",
            STRING,
            "String",
            _one_of(COUNTRIES, "a country code of ISO 3166-1 such as BE", fold=str.upper),
        ),
    )
}
