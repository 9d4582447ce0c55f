"""Which calls a user's rights let through: all of them, one by one."""

import re
from types import SimpleNamespace
from typing import Any

from tabellion.platform.http.pipeline import Pipeline
from tabellion.platform.http.problems import RightMissing
from tabellion.server.calls import CALLS

# What stands in a path, and the module that it is about: the first that is found counts.
MODULES = (
    (r"/webhook", "webhooks"),
    (r"/delivery-limits$|/usage$", "administration"),
    (r"/mails?(/|$)|/transactionalmail/|/audiences|/custom-actions|/suppression|/bounces", "campaigns"),
    (r"/imports?(/|$)|/etl|/export|/servers|/locations", "bulk"),
    (r"/records?(/|$)", "custom-data"),
    (r"/profiles?(/|$)|/erasures", "profiles"),
    (r"/(custom)?table|/profile-tables|/custom-tables", "structure"),
)


def passes(call: Any, rights: dict[str, str]) -> bool:
    try:
        Pipeline._check_right(call, SimpleNamespace(caller=SimpleNamespace(rights=rights)))
    except RightMissing as refusal:
        wanted = "read-write" if call.method != "GET" else "read"
        assert f"lacks the {wanted} right of the module '{call.module}'" in str(refusal)
        return False
    return True


def test_each_call_wants_the_right_of_its_module() -> None:
    assert len(CALLS) >= 174
    for call in CALLS:
        others = {each.module: "rw" for each in CALLS if each.module not in {None, call.module}}
        if call.id in {"auth.token", "entities.v4.list", "entities.v5.list"}:
            assert passes(call, {}), "these tell each user what it has"
            continue
        assert not passes(call, others), call.id
        found = {right: passes(call, others | {call.module: right}) for right in ("", "w", "r", "rw")}
        assert found == {"": False, "w": False, "r": call.method == "GET", "rw": True}, call.id


def test_each_call_is_of_the_module_that_its_path_is_about() -> None:
    for call in CALLS:
        about = next((module for part, module in MODULES if re.search(part, call.path, re.IGNORECASE)), None)
        assert call.module == about, call.id
