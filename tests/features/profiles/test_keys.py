"""The `key` of a v5 body: a unique attribute, or the profile's id as it was read."""

from typing import Any

import pytest

from tabellion.kit.problem import Problem
from tests.support.custom import code_of
from tests.support.structure import Bench


async def test_the_id_that_was_read_is_a_key(guests: Bench) -> None:
    made = await guests.profile("ann@example.com")
    assert made.body is not None
    read = await guests.read("profiles.v5.get", p="emailAddress=ann@example.com")
    id_ = read["profileId"]

    for number, key in enumerate([{"profileId": id_}, {"PROFILEID": str(id_)}]):
        attributes = {**read["attributes"], "lastName": f"Vos{number}", "emailAddress": f"ann{number}@example.com"}
        changed = await guests.call("profiles.v5.put", {"key": key, "attributes": attributes})
        assert (changed.status, changed.body) == (200, made.body)
        after = (await guests.read("profiles.v5.get", p=str(id_)))["attributes"]
        assert (after["lastName"], after["emailAddress"]) == (f"Vos{number}", f"ann{number}@example.com")


async def test_an_id_creates_nobody(guests: Bench) -> None:
    body = {"key": {"profileId": 424242}, "attributes": {"emailAddress": "new@example.com", "lastName": "New"}}
    with pytest.raises(Problem) as refusal:
        await guests.call("profiles.v5.put", body)
    assert (refusal.value.status, refusal.value.code) == (404, "profile.unknown")
    assert "424242" in refusal.value.message
    assert "unique attribute" in refusal.value.message
    assert (await guests.read("profiles.v5.list"))["profiles"] == []


@pytest.mark.parametrize("value", [None, "", "abc", True, 0, -1, 1.5, [1], 2**63, "9" * 40])
async def test_an_id_is_a_number(value: Any, guests: Bench) -> None:
    attributes = {"emailAddress": "new@example.com", "lastName": "New"}
    body = {"key": {"profileId": value}, "attributes": attributes}
    assert await code_of(guests, "profiles.v5.put", body) == (400, "attribute.type")


@pytest.mark.parametrize("key", [{"profileId": 1, "emailAddress": "a@example.com"}, {"lastName": "Vos"}, {}])
async def test_a_key_says_what_it_may_be(key: dict[str, Any], guests: Bench) -> None:
    with pytest.raises(Problem) as refusal:
        await guests.call("profiles.v5.put", {"key": key})
    assert (refusal.value.status, refusal.value.code) == (400, "key.notUnique")
    for name in ("emailAddress", "cardNumber", "profileId"):
        assert f"'{name}'" in refusal.value.message
