"""What mails are made of: all records of their recipients, however many others have."""

import asyncio
from pathlib import Path

import pytest

from tabellion.features.campaigns import rendering
from tabellion.features.customdata import custom_tables
from tabellion.features.delivery import Claimed, contexts
from tabellion.features.delivery.model import Message
from tests.features.delivery.conftest import Post
from tests.features.delivery.working import at_work
from tests.support.custom import LOGS, STAYS, create

# By guest.
STAYED = {"g0": 12, "g1": 3, "g2": 0, "g3": 4, "g4": 1}


async def test_each_mail_has_all_records_of_its_recipient_however_many_those_of_all_are(
    post: Post, worker_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contexts, "_MOST_TOGETHER", 10)
    # A stay belongs to the guest that it refers to, whatever else it refers to before.
    await create(post.bench, LOGS)
    log = {"tableType": "CUSTOM_TABLE", "tableId": "Logs", "attribute": "id"}
    logged = {"name": "logged", "attribute": "voucher", "reference": log, "onDelete": "SET_NULL"}
    await create(post.bench, STAYS, foreignKeys=[logged, *STAYS["foreignKeys"]])
    stays = next(each for each in await custom_tables.load(post.db, post.licence_id) if each.name == "Stays")
    # Another entity may have a table of the same name, whose records belong to nobody here.
    await post.bench.call("customStructure.v5.create", STAYS | {"foreignKeys": []}, e="spas")
    columns = [next(each.column for each in stays.attributes if each.name == name) for name in ("stayRef", "cardNumber")]
    for guest in STAYED:
        await post.guests([f"{guest}@example.com"], cardNumber=guest)
    await post.db.execute(
        f"INSERT INTO l{post.licence_id}.{stays.relation} (created_at, updated_at, {', '.join(columns)}) "
        "SELECT now(), now(), g || '-' || n, g FROM unnest(%s::text[], %s::int[]) AS u (g, most), "
        "generate_series(1, most) n ORDER BY g".encode(),
        (list(STAYED), list(STAYED.values())),
    )
    message = Message("{{ Stays.size }}", "<p>Hello</p>", "Hello")
    sending = await post.sending(messages={"en": message}, uses={"Stays": ["stayRef"]})
    async with at_work(worker_database_url, tmp_path), asyncio.timeout(15):
        while await post.fates(sending) != {("ACCEPTED", None): len(STAYED)}:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.01)
    query = f"SELECT split_part(recipient, '@', 1), subject::int FROM l{post.licence_id}.outbox_mail".encode()
    assert dict(await (await post.db.execute(query)).fetchall()) == STAYED  # pyright: ignore[reportArgumentType] - pairs
    # The same of those for whom a mail is looked at before its launch.
    call = await post.bench.incoming("structure.v5.get")
    ids = await (
        await post.db.execute(f"SELECT id FROM l{post.licence_id}.{post.table.relation} ORDER BY id".encode())
    ).fetchall()
    claimed = [Claimed(0, id_, "", "en", 1, {}) for (id_,) in ids]
    found = await rendering.contexts(call, sending.document, post.table, claimed)
    assert [len(each["Stays"]) for each in found] == [*STAYED.values()]
