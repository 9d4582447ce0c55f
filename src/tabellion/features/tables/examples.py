"""The documentation's running example: the guests of a chain of hotels. The suite runs each of these documents."""

from typing import Any

_SEGMENTATIONS = [
    {"name": "Vip", "type": "SIMPLE"},
    {"name": "Loyalty", "type": "EXCLUSIVE", "categories": ["Silver", "Gold"]},
]
_DISPLAY_OPTIONS = {"forAttributes": [{"name": "lastName", "displayName": "Last name", "description": "Last name"}]}

NAMES = [{"id": "31", "name": "Guests"}]

STRUCTURE_V4: dict[str, Any] = {
    "id": "31",
    "name": "Guests",
    "attributes": {
        "emailAddress": {"valueType": "EmailAddress", "mandatory": True, "unique": True, "multiValued": False},
        "lastName": {"valueType": "String", "mandatory": True, "unique": False, "multiValued": False},
        "birthDate": {"valueType": "Datum", "mandatory": False, "unique": False, "multiValued": False},
        "cardNumber": {
            "valueType": "String",
            "mandatory": False,
            "unique": True,
            "multiValued": False,
            "valueRestriction": {"maxLength": 20},
        },
        "interests": {
            "valueType": "String",
            "mandatory": False,
            "unique": False,
            "multiValued": True,
            "valueRestriction": {"acceptedValues": ["SPA", "GOLF"]},
        },
    },
    "subscriptions": [{"name": "Newsletter", "displayName": "Newsletter"}, {"name": "Promo", "displayName": "Promo"}],
    "segmentations": _SEGMENTATIONS,
}

CREATE: dict[str, Any] = {
    "name": "Guests",
    "attributes": [
        {"type": "EMAIL_ADDRESS", "name": "emailAddress"},
        {"type": "LASTNAME", "name": "lastName", "mandatory": True},
        {"type": "BIRTHDATE", "name": "birthDate"},
        {
            "type": "CUSTOM",
            "name": "cardNumber",
            "valueType": "STRING",
            "unique": True,
            "valueRestriction": {"maxLength": 20},
        },
        {
            "type": "CUSTOM",
            "name": "interests",
            "valueType": "STRING",
            "multiValued": True,
            "valueRestriction": {"acceptedValues": ["SPA", "GOLF"]},
        },
    ],
    "subscriptions": [{"name": "Newsletter"}, {"name": "Promo"}],
    "segmentations": _SEGMENTATIONS,
    "displayOptions": _DISPLAY_OPTIONS,
}

STRUCTURE_V5: dict[str, Any] = {
    "id": "31",
    "name": "Guests",
    "attributes": [
        {
            "type": "CUSTOM",
            "name": "profileId",
            "unique": True,
            "mandatory": True,
            "valueType": "INTEGER",
            "multiValued": False,
        },
        *(
            {
                "type": "CUSTOM",
                "name": name,
                "unique": False,
                "mandatory": True,
                "valueType": "TIMESTAMP",
                "multiValued": False,
            }
            for name in ("creationMoment", "updateMoment")
        ),
        {"type": "EMAIL_ADDRESS", "name": "emailAddress", "unique": True, "mandatory": True},
        {"type": "LASTNAME", "name": "lastName", "unique": False, "mandatory": True},
        {"type": "BIRTHDATE", "name": "birthDate", "unique": False, "mandatory": False},
        {
            "type": "CUSTOM",
            "name": "cardNumber",
            "unique": True,
            "mandatory": False,
            "valueType": "STRING",
            "multiValued": False,
            "valueRestriction": {"maxLength": 20},
        },
        {
            "type": "CUSTOM",
            "name": "interests",
            "unique": False,
            "mandatory": False,
            "valueType": "STRING",
            "multiValued": True,
            "valueRestriction": {"acceptedValues": ["SPA", "GOLF"]},
        },
    ],
    "subscriptions": [
        {"name": "Newsletter", "displayName": "Newsletter", "description": None},
        {"name": "Promo", "displayName": "Promo", "description": None},
    ],
    "segmentations": _SEGMENTATIONS,
    "displayOptions": _DISPLAY_OPTIONS,
    "layout": None,
}

CHANGE: dict[str, Any] = {
    "operations": [
        {
            "operation": "addAttribute",
            "attribute": {"type": "CUSTOM", "name": "roomType", "valueType": "STRING"},
        },
        {
            "operation": "updateAttribute",
            "name": "roomType",
            "changes": {"valueRestriction": {"acceptedValues": ["SEA", "GARDEN"]}},
        },
        {"operation": "addSubscription", "subscription": {"name": "Events"}},
    ]
}

CHANGED: dict[str, Any] = {
    **STRUCTURE_V5,
    "attributes": [
        *STRUCTURE_V5["attributes"],
        {
            "type": "CUSTOM",
            "name": "roomType",
            "unique": False,
            "mandatory": False,
            "valueType": "STRING",
            "multiValued": False,
            "valueRestriction": {"acceptedValues": ["SEA", "GARDEN"]},
        },
    ],
    "subscriptions": [
        *STRUCTURE_V5["subscriptions"],
        {"name": "Events", "displayName": "Events", "description": None},
    ],
}
