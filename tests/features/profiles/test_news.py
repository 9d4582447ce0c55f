"""Events are written in the statement of the change, where somebody listens, and for real changes only."""

from typing import Any

import pytest

from tabellion.platform import outbox
from tabellion.platform.outbox import Interest
from tests.support.structure import Bench

ALL = ("CREATE", "UPDATE", "DELETE", "UPDATED_SUBSCRIPTION", "UPDATED_SEGMENT")


@pytest.fixture
async def heard(guests: Bench) -> Bench:
    """Somebody listens to everything of the table `Guests`."""
    await listen(guests, *ALL)
    return guests


async def table_id(bench: Bench) -> int:
    return (await bench.row("SELECT id FROM tabellion.profile_table WHERE licence_id = %s", bench.licence_id))[0]


async def listen(bench: Bench, *types: str) -> None:
    subject = str(await table_id(bench))
    async with bench.db.transaction():
        await bench.db.execute(
            "UPDATE tabellion.licence SET catalogue_version = catalogue_version + 1 WHERE id = %s", (bench.licence_id,)
        )
        await outbox.declare(bench.db, bench.licence_id, [Interest("PROFILE_TABLE", subject, type_) for type_ in types])


async def events(bench: Bench) -> list[tuple[str, list[str] | None, dict[str, Any]]]:
    """Take out what was written: types, fields and data, by the names of the attributes."""
    cursor = await bench.db.execute(
        "DELETE FROM tabellion.outbox_event WHERE licence_id = %s RETURNING event_type, fields, data, id",
        (bench.licence_id,),
    )
    cursor_rows = sorted(await cursor.fetchall(), key=lambda row: row[3])
    definition = (await bench.row("SELECT definition FROM tabellion.profile_table WHERE licence_id = %s", bench.licence_id))[
        0
    ]
    names = {
        f"{kind}{part['number']}": part["name"]
        for kind, parts in (("a", "attributes"), ("s", "subscriptions"), ("g", "segmentations"))
        for part in definition[parts]
    }
    return [
        (type_, None if fields is None else [names[f] for f in fields], {names.get(k, k): v for k, v in data.items()})
        for type_, fields, data, _ in cursor_rows
    ]


async def test_nobody_listens_and_nothing_is_written(guests: Bench) -> None:
    await guests.profile("ann@example.com", subscriptions={"Newsletter": True})
    assert await events(guests) == []


async def test_a_creation_tells_what_it_was_given(heard: Bench) -> None:
    await heard.profile("ann@example.com", points=3, subscriptions={"Newsletter": True}, segmentations={"Loyalty": "Gold"})
    found = await events(heard)
    assert [f[0] for f in found] == ["CREATE", "UPDATED_SUBSCRIPTION", "UPDATED_SEGMENT"]
    assert found[0][1] == ["lastName", "points", "Newsletter", "Loyalty", "emailAddress"]
    assert found[0][2] == {
        "id": 1,
        "emailAddress": "ann@example.com",
        "lastName": "Vos",
        "points": 3,
        "Newsletter": True,
        "Loyalty": found[0][2]["Loyalty"],
    }
    assert found[1][1:] == (["Newsletter"], {"id": 1, "emailAddress": "ann@example.com", "Newsletter": True})


async def test_an_update_tells_what_it_was_given_and_names_what_changed(heard: Bench) -> None:
    await heard.profile("ann@example.com", points=3, cardNumber="C-1")
    await events(heard)
    await heard.profile("ann@example.com", points=4)
    data = {"id": 1, "emailAddress": "ann@example.com", "cardNumber": "C-1", "lastName": "Vos", "points": 4}
    assert await events(heard) == [("UPDATE", ["points"], data)]


async def test_a_null_is_told_as_null(heard: Bench) -> None:
    await heard.profile("ann@example.com", points=3)
    await events(heard)
    await heard.profile("ann@example.com", points=None)
    assert (await events(heard))[0][2]["points"] is None


async def test_what_changes_nothing_makes_no_event(heard: Bench) -> None:
    whole: dict[str, Any] = {"points": 3, "subscriptions": {"Newsletter": True}, "segmentations": {"Vip": True}}
    await heard.profile("ann@example.com", **whole)
    await events(heard)
    await heard.profile("ann@example.com", **whole)
    assert await events(heard) == []


async def test_a_choice_is_no_update_and_tells_only_what_changed(heard: Bench) -> None:
    await heard.profile("ann@example.com", subscriptions={"Newsletter": True, "Weekly offers": True})
    await events(heard)
    await heard.profile("ann@example.com", subscriptions={"Newsletter": False, "Weekly offers": True})
    data = {"id": 1, "emailAddress": "ann@example.com", "Newsletter": False}
    assert await events(heard) == [("UPDATED_SUBSCRIPTION", ["Newsletter"], data)]
    await heard.profile("ann@example.com", lastName="Maes", subscriptions={"Newsletter": False})
    assert [type_ for type_, _, _ in await events(heard)] == ["UPDATE"]


async def test_leaving_a_segmentation_is_told(heard: Bench) -> None:
    await heard.profile("ann@example.com", segmentations={"Vip": True})
    await events(heard)
    await heard.profile("ann@example.com", segmentations={"Vip": False})
    assert await events(heard) == [("UPDATED_SEGMENT", ["Vip"], {"id": 1, "emailAddress": "ann@example.com", "Vip": None})]


async def test_a_deletion_tells_the_identifiers(heard: Bench) -> None:
    await heard.profile("ann@example.com", points=3, cardNumber="C-1")
    await events(heard)
    await heard.call("profiles.v4.delete", p="1")
    assert await events(heard) == [("DELETE", None, {"id": 1, "emailAddress": "ann@example.com", "cardNumber": "C-1"})]


async def test_only_what_somebody_listens_to_is_written(guests: Bench) -> None:
    await listen(guests, "UPDATE")
    await guests.profile("ann@example.com", points=3, subscriptions={"Newsletter": True})
    await guests.call("profiles.v4.delete", p="1")
    assert await events(guests) == []


async def test_an_event_and_its_change_are_undone_together(heard: Bench) -> None:
    async with heard.db.transaction(force_rollback=True):
        await heard.profile("ann@example.com")
    assert await events(heard) == []


async def test_a_table_of_many_attributes_is_told_whole(guests: Bench) -> None:
    # A function of PostgreSQL takes a hundred arguments.
    added = [{"operation": "addAttribute", "attribute": {"name": f"x{n}", "valueType": "INTEGER"}} for n in range(150)]
    await guests.change(*added)
    await listen(guests, *ALL)
    await guests.profile("ann@example.com", **{f"x{n}": n for n in range(150)})
    ((_, fields, data),) = await events(guests)
    assert fields is not None
    assert len(fields) == 152
    assert data["x149"] == 149
