"""Custom actions: made, read, changed and deleted; what cannot be is refused."""

from typing import Any

import pytest

from tabellion.kit.problem import Invalid, Problem
from tests.support.structure import Bench


async def make(bench: Bench, **members: Any) -> str:
    return (await bench.call("customActions.v5.create", {"name": "print-voucher"} | members)).body.id


async def test_only_a_name_is_needed(bench: Bench) -> None:
    id_ = await make(bench)
    assert await bench.read("customActions.v5.get", id=id_) == {
        "id": id_,
        "name": "print-voucher",
        "displayName": "print-voucher",
        "description": None,
        "targetUrl": None,
        "isActive": True,
        "parameters": [],
    }


async def test_only_what_is_sent_changes_and_null_clears(bench: Bench) -> None:
    parameters = [{"name": "amount", "valueType": "NUMBER", "mandatory": True}]
    id_ = await make(bench, description="x", targetUrl="https://8.8.8.8/x", parameters=parameters)
    await bench.call("customActions.v5.change", {"description": None, "displayName": "Print"}, id=id_)
    found = await bench.read("customActions.v5.get", id=id_)
    assert found["description"] is None
    assert found["displayName"] == "Print"
    assert found["targetUrl"] == "https://8.8.8.8/x"
    assert found["parameters"] == parameters
    await bench.call("customActions.v5.change", {"displayName": None}, id=id_)
    assert (await bench.read("customActions.v5.get", id=id_))["displayName"] == "print-voucher"


async def test_names_are_used_once_whatever_their_case(bench: Bench) -> None:
    await make(bench)
    other = await make(bench, name="other")
    for attempt in (
        bench.call("customActions.v5.create", {"name": "PRINT-voucher"}),
        bench.call("customActions.v5.change", {"name": "Print-Voucher"}, id=other),
    ):
        with pytest.raises(Problem) as refusal:
            await attempt
        assert (refusal.value.status, refusal.value.code) == (409, "name.used")
    assert [a["name"] for a in (await bench.read("customActions.v5.list"))["customActions"]] == ["other", "print-voucher"]


@pytest.mark.parametrize(
    ("members", "code", "field"),
    [
        ({"name": ""}, "structure.nameInvalid", "name"),
        ({"name": "a/b"}, "structure.nameInvalid", "name"),
        ({"name": "x" * 101}, "structure.nameInvalid", "name"),
        ({"targetUrl": "https://10.0.0.1/"}, "webhook.target", "targetUrl"),
        ({"targetUrl": "http://8.8.8.8/"}, "webhook.target", "targetUrl"),
        ({"parameters": [{"name": "a", "valueType": "MONEY"}]}, "structure.typeUnknown", "parameters[0].valueType"),
        ({"parameters": [{"name": "a"}, {"name": "A"}]}, "structure.nameTaken", "parameters[1].name"),
        ({"parameters": [{"name": f"p{n}"} for n in range(101)]}, "structure.tooMany", "parameters"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_place(
    members: dict[str, Any], code: str, field: str, bench: Bench
) -> None:
    with pytest.raises(Invalid) as refusal:
        await make(bench, **members)
    assert (refusal.value.code, refusal.value.errors[0].field) == (code, field)
    assert (await bench.read("customActions.v5.list"))["customActions"] == []


async def test_a_deleted_one_is_gone(bench: Bench) -> None:
    id_ = await make(bench)
    await bench.call("customActions.v5.delete", id=id_)
    for reference in (id_, "x", "9" * 20):
        with pytest.raises(Problem) as refusal:
            await bench.call("customActions.v5.delete", id=reference)
        assert refusal.value.code == "action.unknown"


async def test_another_entity_does_not_have_it(bench: Bench) -> None:
    id_ = await make(bench)
    with pytest.raises(Problem) as refusal:
        await bench.call("customActions.v5.get", e="spas", id=id_)
    assert refusal.value.code == "action.unknown"
