"""What readers do while the structure of their table is being changed, and for how many it counts."""

from pathlib import Path
from typing import Any

import pytest

from tabellion.features import tracking
from tabellion.features.delivery import Token, Use, write_token
from tabellion.features.profiles import search_rows
from tabellion.features.tracking import Choice, preferences
from tabellion.platform import secrets
from tests.features.delivery.conftest import START, licence_that_sends
from tests.features.profiles.test_news import events, listen
from tests.features.tables.test_structure_races import overtaken
from tests.support.structure import Connection
from tests.support.tenant import TABLE


@pytest.mark.parametrize("how", ["unsubscribe", "choose"])
async def test_who_leaves_while_the_structure_changes_has_left(worker_database_url: str, tmp_path: Path, how: str) -> None:
    secrets.use_key("of the tests", tmp_path)
    async with licence_that_sends(worker_database_url) as post:
        newsletter = post.table.subscriptions_by_name["newsletter"]
        await post.guests(["ann@example.com"])
        table = f"l{post.licence_id}.{post.table.relation}"
        await post.db.execute(f"UPDATE {table} SET {newsletter.column} = true".encode())
        sending = await post.sending(subscription=newsletter.number)
        (mail,) = await post.bench.row(f"SELECT id FROM l{post.licence_id}.recipient WHERE sending_id = %s", sending.id)

        async def leave(db: Connection) -> object:
            if how == "unsubscribe":
                return await tracking.unsubscribe(db, _token(Use.UNSUBSCRIBE), START, one_click=True)
            nothing = Choice(frozenset({newsletter.number}), frozenset(), stop=False)
            return await tracking.choose(db, _token(Use.PREFERENCES), nothing, START)

        def _token(use: Use) -> str:
            return write_token(Token(use, post.licence_id, mail))

        async with post.bench.connection() as first, post.bench.connection() as second:
            change = post.bench.change({"operation": "removeAttribute", "name": "points"}, db=first)
            async with overtaken(post.bench, leave(second), change) as leaving:
                assert await leaving is not None
        assert await post.bench.row(f"SELECT {newsletter.column} FROM {table}") == (False,)


async def test_who_leaves_has_left_for_all_who_have_the_address_however_many_they_are(
    worker_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preferences, "_MOST", 2)
    secrets.use_key("of the tests", tmp_path)
    email, *others = TABLE["attributes"]
    async with licence_that_sends(worker_database_url, TABLE | {"attributes": [email | {"unique": False}, *others]}) as post:
        newsletter = post.table.subscriptions_by_name["newsletter"]
        await post.guests(["shop@example.com"] * 5)
        table = f"l{post.licence_id}.{post.table.relation}"
        await post.db.execute(f"UPDATE {table} SET {newsletter.column} = true".encode())
        sending = await post.sending(subscription=newsletter.number)
        (mail,) = await post.bench.row(f"SELECT min(id) FROM l{post.licence_id}.recipient WHERE sending_id = %s", sending.id)
        token = write_token(Token(Use.UNSUBSCRIBE, post.licence_id, mail))
        # Of one of them alone it is not done.
        query = f"UPDATE {table} SET {newsletter.column} = false WHERE id = (SELECT profile_id FROM l{post.licence_id}.recipient WHERE id = {mail})"
        await post.db.execute(query.encode())
        read: list[int] = []

        async def reading(*args: Any) -> Any:
            rows: Any = await search_rows(*args)
            read.append(len(rows))
            return rows

        with monkeypatch.context() as patched:
            patched.setattr(preferences, "search_rows", reading)
            page = await tracking.unsubscribe_page(post.db, token, START)
        assert page is not None
        assert not page.done
        # Whether there is anybody else is asked, and not who they are: there may be thousands.
        assert read == [1]
        assert await tracking.unsubscribe(post.db, token, START) is not None
        assert await post.bench.row(f"SELECT count(*) FROM {table} WHERE {newsletter.column}") == (0,)


async def test_all_who_have_the_address_leave_at_once_and_it_is_told_of_each(
    worker_database_url: str, tmp_path: Path
) -> None:
    secrets.use_key("of the tests", tmp_path)
    email, *others = TABLE["attributes"]
    async with licence_that_sends(worker_database_url, TABLE | {"attributes": [email | {"unique": False}, *others]}) as post:
        newsletter = post.table.subscriptions_by_name["newsletter"]
        await post.guests([*["shop@example.com"] * 40, "ann@example.com"])
        schema = f"l{post.licence_id}"
        people, column = f"{schema}.{post.table.relation}", newsletter.column
        await post.db.execute(
            f"UPDATE {people} SET {column} = true, {column}_at = updated_at, {column}_source = 'api'".encode()
        )
        await listen(post.bench, "UPDATED_SUBSCRIPTION")
        sending = await post.sending(subscription=newsletter.number)
        (mail,) = await post.bench.row(f"SELECT min(id) FROM {schema}.recipient WHERE sending_id = %s", sending.id)
        token = write_token(Token(Use.UNSUBSCRIBE, post.licence_id, mail))
        for _ in range(2):
            assert await tracking.unsubscribe(post.db, token, START) is not None
            # What one statement has written has one number in its transaction.
            query = f"SELECT count(*), count(DISTINCT cmin::text), min({column}_source)"
            found = await post.bench.row(f"{query} FROM {people} WHERE NOT {column}")
            assert found == (40, 1, "mail")
            assert await post.bench.row(f"SELECT count(*) FROM {people} WHERE {column} AND {column}_source = 'api'") == (1,)
            query = f"SELECT count(DISTINCT profile_id), count(*) FROM {schema}.consent WHERE subscribed AND source = 'api'"
            assert await post.bench.row(query) == (40, 40)
            query = "SELECT count(DISTINCT object), count(*) FROM tabellion.audit WHERE licence_id = %s AND actor = 'unsubscribe page'"
            assert await post.bench.row(query, post.licence_id) == (40, 40)
        told = await events(post.bench)
        assert [(type_, fields, data["Newsletter"]) for type_, fields, data in told] == [
            ("UPDATED_SUBSCRIPTION", ["Newsletter"], False)
        ] * 40
