"""The documents that the documentation shows; the tests send them."""

from typing import Any

TABLE_ID = "5b0c9d1e-7a41-4c02-9e55-0123456789ab"
NAMES = [{"id": TABLE_ID, "name": "Stays"}]
HEADS = [{"id": TABLE_ID, "name": "Stays", "type": "INTERACTIONS"}]
STRUCTURE_V4: dict[str, Any] = {
    "id": TABLE_ID,
    "name": "Stays",
    "businessKey": "stayRef",
    "attributes": [
        {"fieldName": "id", "type": "Integer", "required": False},
        {"fieldName": "creationMoment", "type": "Moment", "required": False},
        {"fieldName": "updateMoment", "type": "Moment", "required": False},
        {"fieldName": "stayRef", "type": "String", "required": True},
        {"fieldName": "cardNumber", "type": "String", "required": True},
        {"fieldName": "bookedAt", "type": "Moment", "required": True},
        {"fieldName": "price", "type": "Number", "required": False},
    ],
}
FOREIGN_KEY: dict[str, Any] = {
    "name": "to-guest",
    "attribute": "cardNumber",
    "reference": {"tableType": "PROFILE_TABLE", "tableId": "Guests", "attribute": "cardNumber"},
    "onDelete": "CASCADE",
}
_EVENTS: list[dict[str, Any]] = [
    {
        "name": "stay-paid",
        "triggerRules": [
            {
                "onOperation": "UPDATE",
                "onAnyAttribute": ["state"],
                "matchingConditions": {
                    "stateBeforeOperation": [{"attribute": "state", "operator": "!=", "value": "PAID"}],
                    "stateAfterOperation": [{"attribute": "state", "operator": "=", "value": "PAID"}],
                },
            }
        ],
    }
]


def _attribute(name: str, value_type: str, **members: Any) -> dict[str, Any]:
    plain = {"mandatory": False, "indexed": False, "unique": False, "valueRestriction": None}
    return {"name": name, "valueType": value_type, **plain, **members}


CREATE: dict[str, Any] = {
    "name": "Stays",
    "type": "INTERACTIONS",
    "primaryKeyAttribute": "stayRef",
    "creationTimeAttribute": "bookedAt",
    "compositeKey": None,
    "bigTable": False,
    "valueAttribute": "price",
    "attributes": [
        _attribute("stayRef", "STRING", mandatory=True, indexed=True, unique=True, valueRestriction={"maxLength": 8}),
        _attribute("cardNumber", "STRING", mandatory=True, indexed=True),
        _attribute("bookedAt", "TIMESTAMP", mandatory=True, indexed=True),
        _attribute("price", "NUMBER"),
        _attribute("state", "STRING", mandatory=True, indexed=True, valueRestriction={"acceptedValues": ["OPEN", "PAID"]}),
        _attribute("breakfast", "BOOLEAN"),
    ],
    "foreignKeys": [FOREIGN_KEY],
    "eventsToTrigger": _EVENTS,
    "cleaningRule": {"attribute": "bookedAt", "olderThanDays": 730},
    "layout": None,
}
STRUCTURE_V5: dict[str, Any] = {
    **CREATE,
    "id": TABLE_ID,
    "foreignKeys": [{**FOREIGN_KEY, "reference": {**FOREIGN_KEY["reference"], "tableId": "31"}}],
}
CHANGE: dict[str, Any] = {
    "operations": [
        {
            "operation": "addAttribute",
            "attribute": {"name": "channel", "valueType": "STRING", "mandatory": False, "indexed": True, "unique": False},
        },
        {"operation": "updateAttribute", "name": "channel", "changes": {"indexed": False}},
        {"operation": "removeAttribute", "name": "channel"},
        {"operation": "setEventsToTrigger", "eventsToTrigger": []},
        {"operation": "setCleaningRule", "cleaningRule": None},
    ]
}
CHANGED: dict[str, Any] = {**STRUCTURE_V5, "eventsToTrigger": [], "cleaningRule": None}

KEY = {"businessKey": "ST-00017"}
RECORD_IN: dict[str, Any] = {
    "properties": [
        {"name": "stayRef", "value": "ST-00017"},
        {"name": "cardNumber", "value": "C-881"},
        {"name": "bookedAt", "value": "2027-03-01 09:15:00"},
        {"name": "price", "value": 249.5},
        {"name": "state", "value": "OPEN"},
        {"name": "breakfast", "value": False},
    ]
}
_MOMENT = "2027-03-01T09:15:00.000Z"
ATTRIBUTES: dict[str, Any] = {
    "stayRef": "ST-00017",
    "cardNumber": "C-881",
    "bookedAt": _MOMENT,
    "price": 249.5,
    "state": "OPEN",
    "breakfast": False,
}
_READ = {"id": 1_000_000_000_026, "creationMoment": _MOMENT, "updateMoment": _MOMENT, **ATTRIBUTES}
RECORD_OUT: dict[str, Any] = {"properties": [{"name": name, "value": value} for name, value in _READ.items()]}
RECORD5_OUT: dict[str, Any] = {"id": 1_000_000_000_026, "businessKey": "ST-00017", "attributes": _READ}
