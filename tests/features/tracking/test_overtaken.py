"""What readers do while the structure of their table is being changed."""

from pathlib import Path

import pytest

from tabellion.features import tracking
from tabellion.features.delivery import Token, Use, write_token
from tabellion.features.tracking import Choice
from tabellion.platform import secrets
from tests.features.delivery.conftest import START, licence_that_sends
from tests.features.tables.test_structure_races import overtaken
from tests.support.structure import Connection


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
