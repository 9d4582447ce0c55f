"""Custom tables and records for tests that run calls without HTTP (`Bench`)."""

from typing import Any

import pytest

from tabellion.kit.problem import Problem
from tabellion.platform.http import json_codec
from tests.support.structure import Bench

STAYS: dict[str, Any] = {
    "name": "Stays",
    "type": "INTERACTIONS",
    "primaryKeyAttribute": "stayRef",
    "creationTimeAttribute": "bookedAt",
    "valueAttribute": "price",
    "attributes": [
        {"name": "stayRef", "valueType": "STRING", "valueRestriction": {"maxLength": 8}},
        {"name": "cardNumber", "valueType": "STRING", "indexed": True},
        {"name": "bookedAt", "valueType": "TIMESTAMP"},
        {"name": "price", "valueType": "NUMBER"},
        {"name": "state", "valueType": "STRING", "valueRestriction": {"acceptedValues": ["OPEN", "PAID"]}},
        {"name": "breakfast", "valueType": "BOOLEAN"},
        {"name": "voucher", "valueType": "LONG", "unique": True},
    ],
    "foreignKeys": [
        {
            "name": "to-guest",
            "attribute": "cardNumber",
            "reference": {"tableType": "PROFILE_TABLE", "tableId": "Guests", "attribute": "cardNumber"},
            "onDelete": "CASCADE",
        }
    ],
}
LOGS: dict[str, Any] = {"name": "Logs", "attributes": [{"name": "text", "valueType": "STRING"}]}
PLACES: dict[str, Any] = {
    "name": "Places",
    "compositeKey": ["city", "street"],
    "attributes": [
        {"name": "city", "valueType": "STRING"},
        {"name": "street", "valueType": "STRING"},
        {"name": "stars", "valueType": "INTEGER"},
    ],
}


async def create(bench: Bench, document: Any, **members: Any) -> str:
    """Make a custom table; its id."""
    answer = await bench.call("customStructure.v5.create", {**document, **members})
    assert answer.body is not None
    return json_codec.decode(json_codec.encode(answer.body))["id"]


async def change(bench: Bench, *operations: dict[str, Any], t: str = "Stays", **options: Any) -> Any:
    """Send a change request; the new structure."""
    answer = await bench.call("customStructure.v5.change", {"operations": list(operations)}, t=t, **options)
    return json_codec.decode(json_codec.encode(answer.body))


async def structure(bench: Bench, t: str = "Stays") -> Any:
    """The structure of a custom table."""
    return await bench.read("customStructure.v5.get", t=t)


async def put(bench: Bench, key: str, t: str = "Stays", **attributes: Any) -> int:
    """Create or change a record by its business key; the status."""
    return (await bench.call("records.v5.put", {"attributes": attributes}, t=t, r=key)).status


async def get(bench: Bench, key: str, t: str = "Stays") -> dict[str, Any]:
    """The attributes of a record."""
    return (await bench.read("records.v5.get", t=t, r=key))["attributes"]


async def code_of(bench: Bench, call_id: str, body: Any = None, **options: Any) -> tuple[int, str]:
    """Status and code of a call that must fail, and change nothing."""
    before = await bench.physical()
    with pytest.raises(Problem) as refusal:
        await bench.call(call_id, body, **options)
    assert await bench.physical() == before
    return refusal.value.status, refusal.value.code
