"""Which calls a user's rights let through: all of them, one by one."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import tabellion
from tabellion.platform.http import openapi
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


def test_the_openapi_document_tells_the_least_right_that_lets_each_call_through() -> None:
    paths = openapi.document(CALLS, version="0")["paths"].values()
    told = {each["operationId"]: each["description"].split("\n\n")[-1] for path in paths for each in path.values()}
    for call in CALLS:
        right = re.fullmatch(r"Needs the right `([a-z-]+)=(rw?)`\.|Any API user may call it\.", told[call.id])
        assert right is not None, call.id
        assert passes(call, {right[1]: right[2]}), call.id
        assert right[2] is None or not passes(call, {right[1]: right[2][:-1]}), call.id


def test_the_table_of_modules_has_each_family_of_calls_and_no_other() -> None:
    page = (Path(tabellion.__file__).parents[2] / "docs/operations/security.md").read_text()
    rows = re.findall(
        r"^\| (?:`([a-z-]+)`|none) \| (.*) \|$", page.split("| module | calls |")[1].split("\n\n")[0], re.MULTILINE
    )
    told = {(module or None, family) for module, cell in rows for family in re.findall(r"`([^`]+)`", cell)}
    paths = {(call.module, call.path) for call in CALLS}
    assert told - paths == {(call.module, call.category) for call in CALLS}
