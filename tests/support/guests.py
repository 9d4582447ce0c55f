"""The table of guests as most tests of calls use it, and the guest that is there."""

from typing import Any

import httpx

from tests.support.tenant import Tenant

TABLE = "/v4/entity/hotels/table/Guests"
GUEST = TABLE + "/profile/emailAddress=ann@example.com"
GUEST5 = "/v5/entities/hotels/profile-tables/Guests/profiles/emailAddress=ann@example.com"


def add(tenant: Tenant, body: Any, **headers: str) -> httpx.Response:
    """Create or update a guest (v4)."""
    return tenant.json("POST", TABLE + "/profile", body, **headers)


def attributes(tenant: Tenant, reference: str = "emailAddress=ann@example.com") -> dict[str, Any]:
    """The values of a guest, by the names of the attributes."""
    answer = tenant.json("GET", f"{TABLE}/profile/{reference}").json()
    return {a["name"]: a.get("value", a.get("values")) for a in answer["attributes"]}
