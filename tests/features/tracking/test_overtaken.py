"""What readers do while the structure of their table is being changed, and for how many it counts."""

from pathlib import Path

import pytest

from tabellion.features import tracking
from tabellion.features.delivery import Token, Use, write_token
from tabellion.features.tracking import Choice, preferences
from tabellion.platform import secrets
from tests.features.delivery.conftest import START, licence_that_sends
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
        page = await tracking.unsubscribe_page(post.db, token, START)
        assert page is not None
        assert not page.done
        assert await tracking.unsubscribe(post.db, token, START) is not None
        assert await post.bench.row(f"SELECT count(*) FROM {table} WHERE {newsletter.column}") == (0,)
