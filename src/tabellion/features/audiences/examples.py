"""Examples and parameters of the calls that show samples."""

from typing import Any

from tabellion.platform.http.call import Parameter

LIMIT = Parameter("limit", "most profiles to answer: default 10, at most 100", "10", schema={"type": "integer"})
SAMPLE: dict[str, Any] = {
    "estimatedCount": 1840,
    "profiles": [
        {
            "profileId": 1042,
            "attributes": {"profileId": 1042, "emailAddress": "ann@example.com", "lastName": "Vos"},
            "subscriptions": {"Newsletter": True},
            "segmentations": {"Loyalty": "Gold"},
        }
    ],
}
