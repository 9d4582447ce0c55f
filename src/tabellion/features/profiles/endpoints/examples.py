"""The documents that the documentation shows; the tests send them."""

from typing import Any

PROFILE_ID = {"profileId": 1042}
COLLECTION = {"source": "webshop", "way": "api", "date": "01/03/2027 09:15:00"}
PROFILE_IN: dict[str, Any] = {
    "attributes": [
        {"name": "emailAddress", "value": "ann@example.com"},
        {"name": "lastName", "value": "Vos"},
        {"name": "interests", "values": ["SPA", "GOLF"]},
        {"name": "birthDate", "value": None},
    ],
    "subscriptions": [{"name": "Newsletter", "subscribe": True}],
    "segmentations": [{"name": "Loyalty", "category": "Gold"}],
    "dataCollectionInformation": COLLECTION,
}
_MOMENT = "2027-03-01T08:15:00.000Z"
SUBSCRIPTIONS: list[dict[str, Any]] = [
    {"name": "Newsletter", "subscribe": True, "moment": _MOMENT, "source": "webshop"},
    {"name": "Promo", "subscribe": None, "moment": None, "source": None},
]
SEGMENTATIONS: list[dict[str, Any]] = [
    {"name": "Vip", "category": None, "belongs": True},
    {"name": "Loyalty", "category": "Gold", "belongs": True},
]
PROFILE_OUT: dict[str, Any] = {
    "profileId": 1042,
    "attributes": [
        {"name": "profileId", "value": 1042},
        {"name": "creationMoment", "value": _MOMENT},
        {"name": "updateMoment", "value": _MOMENT},
        {"name": "emailAddress", "value": "ann@example.com"},
        {"name": "lastName", "value": "Vos"},
        {"name": "birthDate", "value": None},
        {"name": "interests", "values": ["SPA", "GOLF"]},
    ],
    "subscriptions": SUBSCRIPTIONS,
    "segmentations": SEGMENTATIONS,
}
PROFILE5_PATCH: dict[str, Any] = {
    "attributes": {"lastName": "Vos", "interests": ["SPA", "GOLF"]},
    "subscriptions": {"Newsletter": True},
    "segmentations": {"Vip": True, "Loyalty": "Gold"},
}
PROFILE5_IN: dict[str, Any] = {
    "key": {"emailAddress": "ann@example.com"},
    "attributes": {"emailAddress": "ann@example.com", "lastName": "Vos", "interests": ["SPA", "GOLF"]},
    "subscriptions": {"Newsletter": True},
    "segmentations": {"Vip": True, "Loyalty": "Gold"},
}
PROFILE5_OUT: dict[str, Any] = {
    "profileId": 1042,
    "attributes": {
        "profileId": 1042,
        "creationMoment": _MOMENT,
        "updateMoment": _MOMENT,
        "emailAddress": "ann@example.com",
        "lastName": "Vos",
        "birthDate": None,
        "interests": ["SPA", "GOLF"],
    },
    "subscriptions": {"Newsletter": True, "Promo": None},
    "segmentations": {"Vip": True, "Loyalty": "Gold"},
}
