"""A structure is posted as it was read: integrators copy tables from one environment to another."""

from typing import Any

import pytest

from tabellion.features.tables.types.predefined import PREDEFINED
from tests.support.tenant import Tenant

pytestmark = pytest.mark.usefixtures("stays")

PROFILE_TABLES = "/v5/entities/hotels/profile-tables"
CUSTOM_TABLES = "/v5/entities/hotels/custom-tables"
RESTRICTED: dict[str, dict[str, Any]] = {
    "STRING": {"minLength": 1, "maxLength": 20, "pattern": "[a-z]+", "acceptedValues": ["a", "b"]},
    "TEXT": {"minLength": 0, "maxLength": 60000},
    "INTEGER": {"min": -5, "max": 5},
    "LONG": {"min": -(2**60), "max": 2**60, "acceptedValues": [1, 2]},
    "NUMBER": {"min": 0.5, "max": 12345678.25, "acceptedValues": [1.5, 2]},
    "BOOLEAN": {"acceptedValues": [True]},
    "DATE": {"min": "01/03/2027", "max": "2027-12-31"},
    "TIMESTAMP": {"min": "2027-03-01 09:15:00", "max": "2028-01-01T00:00:00+02:00"},
}


def every_type() -> list[dict[str, Any]]:
    """Attributes of every value type: bare, and restricted."""
    bare = [{"name": f"any{type_.title()}", "valueType": type_} for type_ in RESTRICTED]
    return bare + [
        {"name": f"some{type_.title()}", "valueType": type_, "valueRestriction": limits}
        for type_, limits in RESTRICTED.items()
    ]


def everything() -> dict[str, Any]:
    """A profile table with all that one can have."""
    return {
        "name": "Everything",
        "attributes": [
            *({"type": type_, "name": f"the{number}", "valueRestriction": None} for number, type_ in enumerate(PREDEFINED)),
            {"type": "LASTNAME", "name": "maidenName", "mandatory": True, "valueRestriction": {"maxLength": 30}},
            {"type": "BIRTHDATE", "name": "childsBirthDate", "valueRestriction": {"min": "2009-01-01"}},
            *every_type(),
            *({**attribute, "name": attribute["name"] + "s", "multiValued": True} for attribute in every_type()),
            {"name": "card", "valueType": "STRING", "unique": True, "mandatory": True, "valueRestriction": {}},
        ],
        "subscriptions": [
            {"name": "Newsletter"},
            {"name": 'Weekly "offers"', "displayName": "Überraschung", "description": "every Monday"},
        ],
        "segmentations": [{"name": "Vip"}, {"name": "Loyalty", "type": "EXCLUSIVE", "categories": ["Silver", "日本"]}],
        "displayOptions": {"forAttributes": [{"name": "card", "displayName": "Card", "description": None}]},
        "layout": [{"width": 1.50}, None],
    }


def read(tenant: Tenant, path: str) -> dict[str, Any]:
    answer = tenant.call("GET", path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def copied(tenant: Tenant, tables: str, document: dict[str, Any], name: str) -> tuple[dict[str, Any], str]:
    """What is read of a copy, and which members the call said to have ignored."""
    answer = tenant.json("POST", tables, {**document, "name": name}, Idempotency_Key=f"copy {name}")
    assert answer.status_code == 201, answer.text
    again = tenant.json("POST", tables, {**document, "name": name}, Idempotency_Key=f"copy {name}")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["X-Ignored-Members"] == answer.headers["X-Ignored-Members"]
    copy = read(tenant, f"{tables}/{name}")
    assert copy["id"] == answer.json()["id"] != document["id"]
    return copy, answer.headers["X-Ignored-Members"]


def test_a_profile_table_is_made_of_what_was_read_of_another(tenant: Tenant, other_tenant: Tenant) -> None:
    made = tenant.json("POST", PROFILE_TABLES, everything())
    assert made.status_code == 201, made.text
    original = read(tenant, f"{PROFILE_TABLES}/Everything")
    assert [a["name"] for a in original["attributes"][:3]] == ["profileId", "creationMoment", "updateMoment"]

    for where in (tenant, other_tenant):
        copy, ignored = copied(where, PROFILE_TABLES, original, "Copy")
        assert ignored == "id, attributes[0], attributes[1], attributes[2]"
        assert copy == {**original, "id": copy["id"], "name": "Copy"}


@pytest.mark.parametrize("key", [{"primaryKeyAttribute": "ref"}, {"compositeKey": ["anyLong", "anyDate"]}, {}])
def test_a_custom_table_is_made_of_what_was_read_of_another(key: dict[str, Any], tenant: Tenant) -> None:
    test = {"attribute": "anyNumber", "operator": ">=", "value": "1.50"}
    document = {
        "name": "Everything",
        "type": "INTERACTIONS",
        "attributes": [
            *every_type(),
            {"name": "ref", "valueType": "STRING", "unique": True},
            {"name": "guest", "valueType": "LONG", "indexed": True},
        ],
        "creationTimeAttribute": "anyTimestamp",
        "valueAttribute": "anyNumber",
        "bigTable": True,
        "foreignKeys": [
            {
                "name": "to-guest",
                "attribute": "guest",
                "reference": {"tableType": "PROFILE_TABLE", "tableId": "Guests", "attribute": "profileId"},
                "onDelete": "SET_NULL",
            }
        ],
        "eventsToTrigger": [
            {
                "name": "dear",
                "triggerRules": [
                    {"onOperation": "CREATE"},
                    {
                        "onOperation": "UPDATE",
                        "onAnyAttribute": ["anyNumber"],
                        "matchingConditions": {"stateAfterOperation": [test]},
                    },
                ],
            }
        ],
        "cleaningRule": {"attribute": "creationMoment", "olderThanDays": 30},
        "layout": {"a": 1},
        **key,
    }
    made = tenant.json("POST", CUSTOM_TABLES, document)
    assert made.status_code == 201, made.text
    original = read(tenant, f"{CUSTOM_TABLES}/Everything")

    copy, ignored = copied(tenant, CUSTOM_TABLES, original, "Copy")
    assert ignored == "id"
    assert copy == {**original, "id": copy["id"], "name": "Copy"}


@pytest.mark.parametrize(
    "claimed",
    [
        {"name": "profileId", "valueType": "STRING"},
        {"name": "PROFILEID", "valueType": "INTEGER"},
        {"name": "creationMoment", "valueType": "TIMESTAMP", "multiValued": True},
        {"name": "updateMoment", "valueType": "TIMESTAMP", "valueRestriction": {"min": "2027-03-01"}},
        {"name": "updateMoment", "valueType": "TIMESTAMP", "mandatory": False},
    ],
)
def test_a_technical_attribute_that_would_be_another_one_is_refused(claimed: dict[str, Any], tenant: Tenant) -> None:
    before = tenant.state()
    document = {"name": "Copy", "attributes": [{"name": "ok", "valueType": "STRING"}, {"type": "CUSTOM", **claimed}]}
    answer = tenant.json("POST", PROFILE_TABLES, document)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["attributes[1].name"]
    assert tenant.state() == before
