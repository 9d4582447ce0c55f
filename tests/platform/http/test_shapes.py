"""What a document is told that has another shape than the call's."""

import msgspec
import pytest

from tabellion.kit.problem import Invalid
from tabellion.platform.http import json_codec, xml_codec
from tabellion.platform.http.shapes import reader


class Stay(msgspec.Struct):
    room: str


class Guest(msgspec.Struct):
    name: str
    stay: Stay | None = None
    records: list[Stay] = []
    notes: dict[str, str] = {}


GUEST, STAY = 'an object such as {"name": ...}', 'an object such as {"room": ...}'


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("null", f"the document expects {GUEST}, not null"),
        ('[{"name": "Ann"}]', f"the document expects {GUEST}, not a list"),
        ('"Ann"', f"the document expects {GUEST}, not a single value"),
        ("7.5", f"the document expects {GUEST}, not a single value"),
        ("true", f"the document expects {GUEST}, not a single value"),
        ('{"name": "Ann", "stay": "7"}', f"'stay' expects {STAY}, not a single value"),
        ('{"name": "Ann", "records": {"room": "7"}}', "'records' expects a list, not an object"),
        ('{"name": "Ann", "records": [null]}', f"'records[0]' expects {STAY}, not null"),
        ('{"name": "Ann", "notes": ["early"]}', "'notes' expects an object, not a list"),
        ("<guest>Ann</guest>", f"the document expects {GUEST}, not a single value"),
        ("<guest><name>Ann</name><stay>7</stay></guest>", f"'stay' expects {STAY}, not a single value"),
        (
            "<guest><name>Ann</name><records>7</records></guest>",
            "'records' expects a list: elements <record>, not a single value",
        ),
    ],
)
def test_what_came_instead_is_said(body: str, told: str) -> None:
    from_xml = body.startswith("<")
    sent = xml_codec.decode(body.encode(), Guest, "guest", None) if from_xml else json_codec.decode(body.encode())
    with pytest.raises(Invalid) as refused:
        reader(Guest).read(sent, from_xml=from_xml)
    assert [error.message for error in refused.value.errors] == [told]
