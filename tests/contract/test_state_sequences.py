"""Random sequences of calls to campaigns, over HTTP: each does what the state machines draw, or is refused and changes nothing.

The machines alone are in `tests/features/campaigns/test_states.py`; `TABELLION_SEQUENCES` makes more sequences.
"""

import itertools
import os
from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabellion.features.campaigns.model import Kind
from tests.features.campaigns.test_states import drawn
from tests.support.tenant import Tenant

MAIL = "/v4/entity/hotels/mail"
SEQUENCES = int(os.environ.get("TABELLION_SEQUENCES", "25"))
CALLS = ("schedule", "launch", "pause", "resume", "cancel", "unschedule", "change", "write", "delete")
# Without the moment that it was given a scheduled campaign would begin now; that takes a moment that has passed.
ASKS_FOR_A_MOMENT = ("SCHEDULED", "launch")
_numbers = itertools.count(1)


def _call(tenant: Tenant, number: int, name: str) -> tuple[int, str]:
    """Status and code of a call."""
    one = f"{MAIL}/{number}"
    match name:
        case "schedule":
            answer = tenant.json("POST", f"{one}/launch", {"scheduledAt": "2090-03-05T07:00:00Z"})
        case "unschedule":
            answer = tenant.json("POST", f"/v5/entities/hotels/mails/{number}/unschedule")
        case "change":  # the name, which is free
            answer = tenant.json("PUT", one, {"name": f"changed {next(_numbers)}"})
        case "write":
            answer = tenant.call("PUT", f"{one}/content/subject", content="Other", headers={"Content-Type": "text/plain"})
        case "delete":
            answer = tenant.json("DELETE", one)
        case _:
            answer = tenant.json("POST", f"{one}/{name}")
    return answer.status_code, answer.json().get("code", "") if answer.content and answer.status_code >= 400 else ""


def _wanted(kind: Kind, state: str, name: str) -> str | None:
    """The state after a call; None: it is refused."""
    begun = state != "IN_DEFINITION"
    if name in {"change", "delete"}:
        return None if begun else state
    if name == "write":
        return state if not begun or (kind is not Kind.MASS and state == "PAUSED") else None
    if kind is Kind.MASS and (state, name) == ASKS_FOR_A_MOMENT:
        return None
    return drawn(kind).get((state, name))


@settings(max_examples=SEQUENCES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(Kind), calls=st.lists(st.sampled_from(CALLS), min_size=3, max_size=12))
def test_a_sequence_of_calls_does_what_is_drawn(tenant: Tenant, kind: Kind, calls: Sequence[str]) -> None:
    number = tenant.campaign(f"Sequence {next(_numbers)}", kind.value)
    state = "IN_DEFINITION"
    for name in calls:
        status, code = _call(tenant, number, name)
        wanted = _wanted(kind, state, name)
        if wanted is None:
            assert status in {400, 409}, (state, name, status)
            assert code == "campaign.state" or (name == "schedule" and kind is not Kind.MASS), (state, name, code)
        else:
            assert status in {200, 204}, (state, name, status, code)
            if name == "delete":
                assert tenant.json("GET", f"{MAIL}/{number}").status_code == 404
                return
            state = wanted
        assert tenant.json("GET", f"{MAIL}/{number}").json()["state"] == state, (name, status, code)
