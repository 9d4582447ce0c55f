"""API users as operators make and change them."""

import asyncio

import pytest

from tabellion.features import licences as use
from tabellion.features.licences import AdminError, UsersLimit
from tabellion.features.licences.model import Access
from tabellion.kit import keys
from tabellion.kit.clock import utc_now
from tests.features.tables.test_structure_races import until_waiting
from tests.support.passwords import quick_passwords
from tests.support.structure import Bench


async def test_two_who_make_users_at_once_do_not_both_get_the_last_place(bench: Bench) -> None:
    await use.change_limits(bench.db, bench.licence, {"max_users": 2}, utc_now())
    with quick_passwords():
        async with bench.connection() as first, bench.connection() as second:
            async with first.transaction():
                await use.create_user(first, bench.licence, "one", utc_now())
                late = asyncio.ensure_future(use.create_user(second, bench.licence, "two", utc_now()))
                await until_waiting(bench, "%tabellion.licence%")
            with pytest.raises(UsersLimit):
                await late
    assert [user.login for user in await use.list_users(bench.db, bench.licence)] == ["one", "website"]


async def test_rotating_ends_the_tokens_of_that_user_alone(bench: Bench) -> None:
    with quick_passwords():
        await use.create_user(bench.db, bench.licence, "clerk", utc_now())
        for user in await use.list_users(bench.db, bench.licence):
            query = "INSERT INTO tabellion.access_token VALUES (%s, %s, now())"
            await bench.db.execute(query, (keys.digest(f"{bench.licence}/{user.login}"), user.id))
        await use.rotate_user(bench.db, bench.licence, "CLERK", utc_now())
    tokens = await bench.db.execute(
        "SELECT u.login, u.credential_version, t.hash IS NOT NULL FROM tabellion.api_user u "
        "LEFT JOIN tabellion.access_token t ON t.user_id = u.id WHERE u.licence_id = %s ORDER BY 1",
        (bench.licence_id,),
    )
    assert await tokens.fetchall() == [("clerk", 2, False), ("website", 1, True)]


async def test_names_that_addresses_and_credentials_cannot_hold_are_refused(bench: Bench) -> None:
    for name in ("a/b", "a:b"):
        with pytest.raises(AdminError, match="the name of an API user has"):
            await use.create_user(bench.db, bench.licence, name, utc_now())
        with pytest.raises(AdminError, match="the name of an entity has"):
            await use.create_entity(bench.db, bench.licence, name, utc_now())
    with pytest.raises(AdminError, match="stands for the default entity"):
        await use.create_entity(bench.db, bench.licence, "-", utc_now())


def test_a_default_entity_stays_where_it_may() -> None:
    given = Access({"bulk": "r"}, [1, 2], 2)
    found = {wanted: given.within(None if wanted is None else list(wanted)) for wanted in (None, (1, 2, 3), (3, 1), ())}
    assert {wanted: (access.entity_ids, access.default_entity_id) for wanted, access in found.items()} == {
        None: (None, 2),
        (1, 2, 3): ([1, 2, 3], 2),
        (3, 1): ([3, 1], 3),
        (): ([], None),
    }
    assert {tuple(access.rights.items()) for access in found.values()} == {(("bulk", "r"),)}
