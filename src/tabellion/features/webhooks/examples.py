"""The documents that the documentation shows; the tests send them."""

from typing import Any

TABLE_WEBHOOK: dict[str, Any] = {
    "eventType": "UPDATED_SUBSCRIPTION",
    "onFields": ["Newsletter"],
    "targetUrl": "https://hooks.example.com/tabellion",
    "webhookPushType": "ONE_BY_ONE",
    "maxBlockSize": 100,
    "headers": {"X-Authorization": "secret"},
    "isActive": True,
}
WEBHOOK: dict[str, Any] = {"on": "PROFILE_TABLE", "onElementId": "Guests", **TABLE_WEBHOOK}
WEBHOOK_OUT: dict[str, Any] = {"id": 123, **WEBHOOK, "onElementId": "31", "inactiveReason": None, "secretsUnreadable": False}
CREATED: dict[str, Any] = {"id": 123, "signingSecret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="}
FAILURES: dict[str, Any] = {
    "errors": [
        {
            "eventId": "55012",
            "eventType": "CREATE",
            "occurredAt": "2027-03-01T08:15:00.000Z",
            "attempts": 9,
            "lastAttemptAt": "2027-03-02T08:15:00.000Z",
            "lastStatusCode": 500,
            "lastError": "HTTP 500",
            "state": "DEAD",
            "nextAttemptAt": None,
            "payload": {"id": 55012},
        }
    ]
}
