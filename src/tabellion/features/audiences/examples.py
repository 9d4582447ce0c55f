"""Examples and parameters of the calls that show samples."""

from typing import Any

from tabellion.features.audiences.wire import MAX_SAMPLE
from tabellion.platform.http.call import Parameter

LIMIT = Parameter(
    "limit",
    "most profiles to answer: 10 by default; more than 100 is lowered, and `X-Lowered-Parameters` says so",
    "10",
    schema={"type": "integer"},
    most=MAX_SAMPLE,
)
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
