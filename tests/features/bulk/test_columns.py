"""From the header of a file to columns of the table: what each is for, what identifies a row, what cells mean."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tabellion.features.bulk.fenced import JobError
from tabellion.features.bulk.imports.columns import Plan, plan
from tabellion.features.bulk.imports.model import Mapping, Operation, Order, Transformation
from tabellion.features.tables import BadValue
from tabellion.features.tables.model import Attribute, Category, Definition, ProfileTable, Segmentation, Subscription

UTC_ZONE = ZoneInfo("UTC")
TABLE = ProfileTable(
    1,
    9,
    1,
    "Guests",
    1,
    Definition(
        9,
        (
            Attribute(1, "emailAddress", "EMAIL_ADDRESS", "STRING", unique=True),
            Attribute(2, "lastName", "LASTNAME", "STRING", mandatory=True),
            Attribute(3, "cardNumber", "CUSTOM", "STRING", unique=True),
            Attribute(4, "member", "CUSTOM", "BOOLEAN"),
            Attribute(5, "interests", "CUSTOM", "STRING", multi_valued=True),
            Attribute(7, "points", "CUSTOM", "INTEGER", mandatory=True),
            Attribute(6, "opened", "CUSTOM", "BOOLEAN", multi_valued=True),
        ),
        subscriptions=(Subscription(1, "Newsletter", "Newsletter"),),
        segmentations=(
            Segmentation(1, "Vip", "SIMPLE"),
            Segmentation(2, "Loyalty", "EXCLUSIVE", (Category(1, "Silver"), Category(2, "Gold"))),
        ),
    ),
)


def planned(headers: list[str], mapping: list[Mapping] | None = None, **options: Any) -> Plan:
    return plan(TABLE, headers, Order(mapping=None if mapping is None else tuple(mapping), **options), UTC_ZONE)


def test_headers_are_names_whatever_their_case() -> None:
    headers = [
        "LASTNAME",
        "profileId",
        "Subscriptions#newsletter",
        "updateMoment",
        "segmentations#VIP",
        "segmentations#loyalty",
    ]
    found = planned([*headers, "EmailAddress", "cardNumber"])
    assert [(c.place, c.header, c.name, c.cast) for c in found.columns] == [
        (0, "LASTNAME", "a2", "text"),
        (2, "Subscriptions#newsletter", "s1", "boolean"),
        (4, "segmentations#VIP", "g1", "boolean"),
        (5, "segmentations#loyalty", "g2", "integer"),
        (6, "EmailAddress", "a1", "text"),
        (7, "cardNumber", "a3", "text"),
    ]
    assert [c.subject for c in found.columns[:3]] == [
        "attribute 'lastName'",
        "subscription 'Newsletter'",
        "segmentation 'Vip'",
    ]
    assert ([c.name for c in found.unique], found.key) == (["a1", "a3"], ())
    (key,) = planned([*headers, "CARDnumber"], key_column="cardNUMBER").key
    assert key.name == "a3"


def test_a_mapping_says_what_columns_are_for_and_leaves_the_others_out() -> None:
    steps = (Transformation(operation=Operation.CONSTANT, value="Vos"),)
    mapping = [Mapping("MAIL", "EMAILaddress"), Mapping(None, "lastName", steps), Mapping("id", "profileId")]
    found = planned(["id", "other", "mail"], mapping, key_column="mail")
    assert [(c.place, c.header, c.name, c.transformations) for c in found.columns] == [
        (2, "mail", "a1", ()),
        (None, "", "a2", steps),
    ]
    assert found.key == found.columns[:1]


@pytest.mark.parametrize(
    ("headers", "options", "code", "message"),
    [
        (
            ["lastNam"],
            {},
            "mapping",
            "the column 'lastNam' is for 'lastNam', which the table lacks; did you mean 'lastName'?",
        ),
        (
            ["newsletter"],
            {},
            "mapping",
            "the column 'newsletter' is for 'newsletter', which the table lacks; its subscription is called 'subscriptions#Newsletter' here",
        ),
        (
            ["vip"],
            {},
            "mapping",
            "the column 'vip' is for 'vip', which the table lacks; its segmentation is called 'segmentations#Vip' here",
        ),
        (
            ["subscriptions#Vip"],
            {},
            "mapping",
            "the column 'subscriptions#Vip' is for 'subscriptions#Vip', which the table lacks",
        ),
        (
            ["segmentations#Newsletter"],
            {},
            "mapping",
            "the column 'segmentations#Newsletter' is for 'segmentations#Newsletter', which the table lacks",
        ),
        (
            ["lastNam"],
            {"separator": ";"},
            "mapping",
            "the column 'lastNam' is for 'lastNam', which the table lacks; did you mean 'lastName'?",
        ),
        (["a,b"], {}, "mapping", "the column 'a,b' is for 'a,b', which the table lacks"),
        (["profileId"], {}, "mapping", "no column of the file is for an attribute of the table"),
        (
            ["lastName", "LASTNAME"],
            {"mapping": [Mapping("lastName", "lastName"), Mapping("lastName", "LASTNAME")]},
            "mapping",
            "the columns 'lastName' and 'lastName' are for the same 'LASTNAME'",
        ),
        (
            ["a", "b"],
            {"mapping": [Mapping("c", "lastName")]},
            "mapping",
            "the mapping names the column 'c', which the file lacks",
        ),
        (
            ["c;d"],
            {"mapping": [Mapping("c", "lastName")]},
            "mapping",
            "the mapping names the column 'c', which the file lacks; is ';' the separator? The file was read with ',': 'format' says which, on the command line --separator",
        ),
        (
            ["c\td,e"],
            {"separator": ";"},
            "mapping",
            "the column 'c\td,e' is for 'c\td,e', which the table lacks; is ',' the separator? The file was read with ';': 'format' says which, on the command line --separator",
        ),
        (
            ["c\td"],
            {},
            "mapping",
            "the column 'c\td' is for 'c\td', which the table lacks; is a tab the separator? The file was read with ',': 'format' says which, on the command line --separator",
        ),
        (["lastName"], {"key_column": "cardNumber"}, "keyColumn", "the file has no column 'cardNumber' to be the key"),
        (["lastName"], {"key_column": "lastname"}, "keyColumn", "the key 'lastName' is not for a unique attribute"),
        (
            ["segmentations#Vip"],
            {"key_column": "segmentations#Vip"},
            "keyColumn",
            "the key 'segmentations#Vip' is not for a unique attribute",
        ),
    ],
)
def test_what_has_no_use_is_told(headers: list[str], options: dict[str, Any], code: str, message: str) -> None:
    with pytest.raises(JobError) as refusal:
        planned(headers, **options)
    assert (refusal.value.code, str(refusal.value)) == (f"import.{code}", message)


def test_cells_are_read_by_what_their_column_is_for() -> None:
    names = [
        "member",
        "interests",
        "opened",
        "subscriptions#Newsletter",
        "segmentations#Vip",
        "segmentations#Loyalty",
        "lastName",
        "points",
    ]
    read = {c.header.rpartition("#")[2]: c.parse for c in planned(names).columns}
    for flag, value in (("Y", True), (" n ", False), ("1", True), ("FALSE", False)):
        assert [read[name](flag) for name in ("member", "Newsletter", "Vip")] == [value] * 3
        assert read["opened"](f"{flag}|y") == [value, True]
    assert read["interests"]("SPA|y|N") == ["SPA", "y", "N"]
    assert read["Loyalty"](" gold ") == 2
    assert read["lastName"]("y") == "y"
    for name, cell in (("member", "yes!"), ("Newsletter", "2"), ("Loyalty", "Platinum"), ("opened", "y|?")):
        with pytest.raises(BadValue):
            read[name](cell)
    with pytest.raises(BadValue) as refusal:
        read["points"](" ")
    assert refusal.value.code == "attribute.mandatory"
