"""Claims look up what they need, however many addresses are suppressed and domains are known: they read no list to its end.

Nor does who asks whether a sending has ended read its recipients.
"""

from tabellion.features import delivery
from tabellion.features.delivery import Limits, recipient_store
from tabellion.features.delivery.limits import Contact, DomainLimit
from tabellion.features.tables.filters import ALWAYS
from tests.features.delivery.conftest import START, Post

_MANY = 5_000


async def _fill(post: Post) -> None:
    schema = f"l{post.licence_id}"
    for table, row in (
        ("suppression (address, reason, since)", "'gone' || n || '@example.com', 'MANUAL', now()"),
        ("mail_rate (key, free_at)", "'queue:1:example' || n || '.com', now()"),
        ("domain_hold (domain, until_at, pause_s)", "'example' || n || '.com', now(), 60"),
    ):
        filling = f"INSERT INTO {schema}.{table} SELECT {row} FROM generate_series(1, {_MANY}) n"
        await post.db.execute(filling.encode())
        await post.db.execute(f"ANALYZE {schema}.{table.split()[0]}".encode())


async def _read_to_the_end(post: Post) -> dict[str, int]:
    """How often which list was, as far as this connection has not told the server yet."""
    query = (
        "SELECT relname, seq_scan FROM pg_stat_xact_user_tables "
        "WHERE schemaname = %s AND relname IN ('suppression', 'mail_rate', 'domain_hold', 'recipient')"
    )
    rows = await (await post.db.execute(query, (f"l{post.licence_id}",))).fetchall()
    return {row[0]: row[1] for row in rows}


async def test_claims_and_beginnings_read_no_list_to_its_end(post: Post) -> None:
    await _fill(post)
    await post.guests(f"guest{n}@example{n}.com" for n in range(40))
    for limits in (Limits(), Limits(contact=Contact(mails=9, days=7)), Limits(domains=(DomainLimit("*", 1000, 5),))):
        sending = await post.sending()
        async with post.db.transaction():
            before = await _read_to_the_end(post)
            claimed = (await post.plain_claim(sending))[0] if limits == Limits() else await post.claim(sending, limits)
            assert len(claimed) == 40
            assert len(await recipient_store.begin(post.db, sending, post.table, post.worker, claimed)) == 40
            assert await _read_to_the_end(post) == before, limits


async def test_an_audience_reads_the_list_of_suppressions_once_at_most(post: Post) -> None:
    await _fill(post)
    sending = await post.sending()
    await post.guests(f"guest{n}@example{n}.com" for n in range(40))
    async with post.db.transaction():
        # Too little to keep the list in memory.
        await post.db.execute("SET LOCAL work_mem = '64kB'")
        before = (await _read_to_the_end(post))["suppression"]
        await delivery.gather(post.db, sending, post.table, ALWAYS, None, START)
        assert (await _read_to_the_end(post))["suppression"] - before <= 1


async def test_whether_a_sending_has_ended_is_asked_without_reading_its_recipients(post: Post) -> None:
    await post.guests(f"guest{n}@example.com" for n in range(2_000))
    sending = await post.sending()
    schema = f"l{post.licence_id}"
    # What the database knows of the table is from when everybody was planned.
    await post.db.execute(f"ANALYZE {schema}.recipient".encode())
    everybody = f"UPDATE {schema}.recipient SET state = 'ACCEPTED', due_at = NULL WHERE sending_id = %s"
    await post.db.execute(everybody.encode(), (sending.id,))
    one = f"UPDATE {schema}.recipient SET state = %s, reason = %s, due_at = %s WHERE id = (SELECT max(id) FROM {schema}.recipient)"

    async with post.db.transaction():
        before = await _read_to_the_end(post)
        assert not await recipient_store.is_open(post.db, sending)
        assert (await _read_to_the_end(post))["recipient"] == before["recipient"]
    for state, reason, due_at, is_open in (
        ("PLANNED", None, START, True), ("PLANNED", "later", START, True), ("DEFERRED", "other", START, True),
        ("DEFERRED", "later", START, False), ("CLAIMED", None, None, True), ("SENDING", None, None, True),
        ("UNCERTAIN", None, None, False),
    ):  # fmt: skip
        await post.db.execute(one.encode(), (state, reason, due_at))
        assert await recipient_store.is_open(post.db, sending, beside="later") is is_open
