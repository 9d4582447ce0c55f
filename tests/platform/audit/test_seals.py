"""Whatever is changed in the trail after it was sealed is found, and what is as it was fits."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from tabellion.platform import secrets
from tabellion.platform.audit import Head, Verdict, judging, purge, seal, sealing, seals, verify, verifying
from tests.platform.audit.conftest import NOW, Trail, entry

CUT = "this head is not in the trail: its end was cut off, or it comes from a backup that is older"
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


def head_of(text: str | None) -> Head:
    """A head as it is kept elsewhere."""
    assert text is not None
    number, digest = text.split(":")
    return Head(int(number), bytes.fromhex(digest))


@pytest.fixture
async def sealed(trail: Trail) -> Trail:
    """Nine seals: eight stretches of seven entries each, of which the first two have gone."""
    for number in range(8):
        at = NOW + number * DAY
        notes = [None, "a\tb\\c\nd", "", "\\N", "Grüße"]
        made = (
            entry(at + n * MINUTE, object=f"profile/{n}", note=notes[n % 5], credential=None if n == 3 else "key")
            for n in range(7)
        )
        await trail.write(number % 3, *made)
        assert await seal(trail.db, at + 10 * MINUTE) == 7
    assert await purge(trail.db, NOW + 2 * DAY, NOW + 9 * DAY) == 14
    return trail


async def test_what_nobody_changed_fits(sealed: Trail) -> None:
    await sealed.write(1, entry(NOW + 20 * DAY), entry(NOW + 21 * DAY))
    found = await verify(sealed.db)
    last = (await seals.newest(sealed.db)) or pytest.fail("no seal")
    assert found == Verdict(
        fits=True, seals=9, entries=42, entries_gone=14, entries_open=2, open_since=NOW + 20 * DAY,
        sealed_at=NOW + 9 * DAY, head=last.head, misfits=[],
    )  # fmt: skip
    assert await seal(sealed.db, NOW + 21 * DAY) == 2
    assert await seal(sealed.db, NOW + 22 * DAY) == 0
    assert (await verify(sealed.db, head_of(found.head))).fits
    assert (await verify(sealed.db)).seals == 10
    (misfit,) = (await verify(sealed.db, Head(9, bytes(32)))).misfits
    assert misfit == judging.Misfit(9, 9, CUT)


def test_all_that_a_seal_says_is_in_its_digest() -> None:
    made = seals.Seal(7, 40, 3, NOW, NOW + DAY, 1, 2, NOW - DAY, b"content", b"", "key", b"")
    digest = made.digest_after(b"before")
    # What earlier releases have sealed fits.
    assert digest.hex() == "1e03af6d11644b10b9bf50219a81ec3d31f8ff666c2a44f846f0093445d62834"
    for field in ("number", "last_id", "entries", "gone_from", "gone_to"):
        assert made._replace(**{field: getattr(made, field) + 1}).digest_after(b"before") != digest, field
    for field in ("newest", "sealed_at", "gone_before"):
        later = getattr(made, field) + timedelta(microseconds=1)
        assert made._replace(**{field: later}).digest_after(b"before") != digest, field
    assert made._replace(key="other").digest_after(b"before") != digest
    assert made._replace(content=b"other").digest_after(b"before") != digest
    assert made.digest_after(b"another") != digest


async def test_nobody_waits_without_end_for_who_seals_and_does_not_go_on(
    trail: Trail, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await trail.write(1, entry(NOW))
    monkeypatch.setattr(seals, "_WAIT", "20ms")
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as stopped, seals.locked(stopped):
        for work in (seal(trail.db, NOW + DAY), purge(trail.db, NOW + DAY, NOW + DAY)):
            with pytest.raises(psycopg.errors.LockNotAvailable):
                await asyncio.wait_for(work, 10)
    assert await seal(trail.db, NOW + DAY) == 1
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other, seals.locked(other):
        pass
    cursor = await trail.db.execute("SHOW lock_timeout")
    assert await cursor.fetchone() == ("0",)


async def test_settings_of_a_session_make_no_difference(sealed: Trail) -> None:
    await sealed.db.execute("SET timezone = 'Asia/Tokyo'; SET client_encoding = 'LATIN1'")
    assert (await verify(sealed.db)).fits


async def test_an_empty_trail_fits_and_one_that_is_sealed_in_several_stretches(
    trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await seal(trail.db, NOW) == 0
    assert await purge(trail.db, NOW, NOW) == 0
    assert await verify(trail.db) == Verdict(True, 0, 0, 0, 0, None, None, None, [])
    monkeypatch.setattr(sealing, "STRETCH", 3)
    # By a clock that was put back afterwards: they are as old as their seal.
    await trail.write(1, *(entry(NOW + n * DAY) for n in range(7)))
    assert await seal(trail.db, NOW + DAY) == 7
    assert (await verify(trail.db)).fits
    made = await seals.after(trail.db, None, 9)
    assert [(each.entries, each.newest) for each in made] == [(each, NOW + DAY) for each in (3, 3, 1)]


class Sealed(NamedTuple):
    """A trail outside the database: the fields of its entries, first their ids, and its seals."""

    entries: list[list[bytes]]
    seals: list[seals.Seal]


async def taken_out(db: Any) -> Sealed:
    last = await seals.newest(db)
    assert last is not None
    lines = [line async for line in seals.entries(db, seals.first_id(None), last.last_id)]
    return Sealed([line.rstrip(b"\n").split(b"\t") for line in lines], await seals.after(db, None, 100))


def fits(given: Sealed, head: str) -> bool:
    """As `verify` does it, whoever keeps the head."""
    gone = [each.gone for each in given.seals if each.gone is not None]
    judge = judging.Judge(gone, secrets.fingerprints(), ())
    judge.take(sorted(given.seals))
    for fields in sorted(given.entries, key=lambda fields: int(fields[0])):
        judge.entry(b"\t".join(fields) + b"\n")
    judge.end()
    return not judge.misfits and judge.last is not None and judge.last.head == head


def change_entry(chance: random.Random, entries: list[list[bytes]]) -> None:
    fields = chance.choice(entries)
    number = chance.randrange(1, len(fields))
    before = fields[number]
    fields[number] = chance.choice([b"", b"\\N", before + b"x", before[:-1], b"9"])
    if fields[number] == before:
        fields[number] = b"changed"


def exchange_entries(chance: random.Random, entries: list[list[bytes]]) -> None:
    one, other = chance.sample(entries, 2)
    while one[1:] == other[1:]:
        one, other = chance.sample(entries, 2)
    one[0], other[0] = other[0], one[0]


def move_entry(chance: random.Random, entries: list[list[bytes]]) -> None:
    fields = entries.pop(chance.randrange(len(entries)))
    fields[0] = b"%d" % (int(fields[0]) + chance.choice([-40, 40, -7, 7]))
    entries.append(fields)


def add_entry(chance: random.Random, entries: list[list[bytes]]) -> None:
    fields = list(chance.choice(entries))
    fields[0] = b"%d" % chance.randrange(-5, 57)
    entries.append(fields)


def change_seal(chance: random.Random, made: list[seals.Seal]) -> None:
    index = chance.randrange(len(made))
    name = chance.choice(made[index]._fields)
    value = getattr(made[index], name)
    other: Any = {
        "number": lambda: value + chance.choice([-20, 20]),
        "key": lambda: value[::-1],
        "newest": lambda: value - DAY,
        "sealed_at": lambda: value + MINUTE,
        "gone_before": lambda: NOW + 30 * DAY,
        "gone_from": lambda: (value or 3) + 1,
        "gone_to": lambda: (value or 3) + 1,
        "content": lambda: bytes(32),
        "digest": lambda: bytes(32),
        "mac": lambda: bytes(32),
    }.get(name, lambda: value + 1)()
    made[index] = made[index]._replace(**{name: other})


def exchange_seals(chance: random.Random, made: list[seals.Seal]) -> None:
    one, other = chance.sample(range(len(made)), 2)
    made[one], made[other] = made[other]._replace(number=made[one].number), made[one]._replace(number=made[other].number)


def add_seal(chance: random.Random, made: list[seals.Seal]) -> None:
    made.append(chance.choice(made)._replace(number=chance.choice([-3, 0, 10, 11])))


def make_anew(chance: random.Random, given: Sealed) -> None:
    """By somebody who can do everything but ask for the secret: an entry goes, and all digests from there on fit again."""
    secret, source = b"of a guess", secrets._keeper.source
    assert source is not None
    gone = given.entries.pop(chance.randrange(len(given.entries)))
    previous = seals.NOTHING
    for index, each in enumerate(given.seals):
        before = given.seals[index - 1].last_id if index else -100
        lines = [b"\t".join(e) + b"\n" for e in given.entries if before < int(e[0]) <= each.last_id]
        changed = each
        if before < int(gone[0]) <= each.last_id:
            changed = each._replace(entries=len(lines), content=hashlib.sha256(b"".join(lines)).digest())
        digest = changed.digest_after(previous)
        if digest != each.digest:
            secrets.use_key(secret.decode(), Path("/nowhere"))
            changed = changed._replace(digest=digest, mac=secrets.mac(digest, "audit-seal"))
            secrets.use_key(*source)
        given.seals[index], previous = changed, digest


WAYS: list[Callable[[random.Random, Sealed], object]] = [
    lambda chance, given: change_entry(chance, given.entries),
    lambda chance, given: given.entries.pop(chance.randrange(len(given.entries))),
    lambda chance, given: exchange_entries(chance, given.entries),
    lambda chance, given: move_entry(chance, given.entries),
    lambda chance, given: add_entry(chance, given.entries),
    lambda chance, given: change_seal(chance, given.seals),
    lambda chance, given: given.seals.pop(chance.randrange(len(given.seals))),
    lambda chance, given: exchange_seals(chance, given.seals),
    lambda chance, given: add_seal(chance, given.seals),
    make_anew,
]


async def test_a_thousand_changes_are_all_found(sealed: Trail) -> None:
    taken = await taken_out(sealed.db)
    head = taken.seals[-1].head
    assert fits(taken, head)
    for seed in range(1000):
        given = Sealed([list(fields) for fields in taken.entries], list(taken.seals))
        WAYS[seed % len(WAYS)](random.Random(seed), given)
        assert not fits(given, head), f"seed {seed}"


@asynccontextmanager
async def undone(db: Any) -> AsyncIterator[None]:
    """Have the trail as it was, at the end."""
    await db.execute("CREATE TABLE kept AS TABLE tabellion.audit; CREATE TABLE kept_seals AS TABLE tabellion.audit_seal")
    yield
    await db.execute(
        "TRUNCATE tabellion.audit, tabellion.audit_seal; INSERT INTO tabellion.audit_seal TABLE kept_seals; "
        "INSERT INTO tabellion.audit OVERRIDING SYSTEM VALUE TABLE kept; DROP TABLE kept, kept_seals"
    )


async def test_what_does_not_fit_is_told(sealed: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "_AT_ONCE", 3)
    kept = head_of((await verify(sealed.db)).head)
    others, changed, missing = judging._OTHERS, judging._CHANGED, judging._MISSING
    audit, seal_ = "tabellion.audit", "tabellion.audit_seal"
    all_but_number = "last_id, entries, newest, sealed_at, gone_from, gone_to, gone_before, content, digest, key, mac"
    copied = "at, licence_id, user_id, actor, route, object, request_id, note, credential"
    for statement, expected in (
        (f"UPDATE {audit} SET object = 'profile/9' WHERE id = 30", {(5, 5, others)}),
        (f"UPDATE {audit} SET at = at + interval '1 microsecond' WHERE id = 56", {(8, 8, others)}),
        (f"UPDATE {audit} SET note = NULL WHERE note = ''", {(3, 8, others)}),
        (f"DELETE FROM {audit} WHERE id BETWEEN 22 AND 35", {(4, 5, others)}),
        (f"TRUNCATE {audit}", {(3, 8, others)}),
        (f"INSERT INTO {audit} (id, {copied}) OVERRIDING SYSTEM VALUE SELECT -1, {copied} FROM {audit} WHERE id = 20",
         {(1, 1, judging._BACK)}),
        (f"UPDATE {audit} SET object = 'profile/9' WHERE id IN (20, 50)", {(3, 3, others), (8, 8, others)}),
        (f"DELETE FROM {seal_} WHERE number = 4", {(4, 4, missing), (5, 5, changed)}),
        (f"DELETE FROM {seal_} WHERE number < 3", {(1, 2, missing), (3, 3, changed)}),
        (f"DELETE FROM {seal_} WHERE number > 7", {(9, 9, CUT)}),
        (f"UPDATE {seal_} SET gone_from = 1, gone_to = 3, gone_before = now() WHERE number = 8", {(8, 8, changed)}),
        (f"UPDATE {seal_} SET last_id = 9223372036854775807 WHERE number = 5", {(5, 5, changed), (6, 8, others)}),
        (f"UPDATE {seal_} SET mac = digest WHERE number = 6", {(6, 6, judging._FORGED)}),
        (f"UPDATE {seal_} SET sealed_at = now() WHERE number = 2", {(2, 2, changed)}),
        (f"INSERT INTO {seal_} (number, {all_but_number}) SELECT -3, {all_but_number} FROM {seal_} WHERE number = 9",
         {(-3, -3, changed)}),
    ):  # fmt: skip
        async with undone(sealed.db):
            await sealed.db.execute(statement)
            found = await verify(sealed.db, kept)
            told = {(each.first, each.last, each.wrong) for each in found.misfits}
            assert told >= expected, statement
            assert not found.fits
    async with undone(sealed.db):
        await sealed.db.execute(f"DELETE FROM {audit} WHERE id BETWEEN 22 AND 35")
        begin, end = (NOW + days * DAY + 10 * MINUTE for days in (3, 4))
        assert (await verify(sealed.db)).misfits == [judging.Misfit(4, 5, others, 21, 35, begin, end)]
    assert (await verify(sealed.db, kept)).fits


async def test_entries_go_once_when_they_are_old_and_who_has_them_deleted_before_is_found(sealed: Trail) -> None:
    async with undone(sealed.db):
        kept = "UPDATE tabellion.audit_seal SET newest = %s WHERE number = 5 RETURNING newest"
        newest = NOW + 4 * DAY + 6 * MINUTE
        await sealed.db.execute(kept, (NOW - 900 * DAY,))
        assert await purge(sealed.db, newest, NOW + 10 * DAY) == 21
        await sealed.db.execute(kept, (newest,))
        (misfit,) = (await verify(sealed.db)).misfits
        assert (misfit.first, misfit.wrong) == (5, judging._EARLY)

    # The latest of the third is not older than itself.
    assert await purge(sealed.db, NOW + 2 * DAY + 6 * MINUTE, NOW + 10 * DAY) == 0
    assert (await verify(sealed.db)).seals == 9, "what has gone is not told of again"
    for days in (1, 3):
        await sealed.write(1, entry(NOW - days * DAY))
        assert await seal(sealed.db, NOW + 10 * DAY) == 1
    # Those that are not next to each other, with younger ones between them.
    assert [await purge(sealed.db, NOW + days * DAY, NOW + 11 * DAY) for days in (-2, 3)] == [1, 8]
    found = await verify(sealed.db)
    assert (found.misfits, found.seals, found.entries, found.entries_gone) == ([], 14, 35, 23)


async def test_entries_are_sealed_once_nobody_can_add_any_before_them(
    trail: Trail, database_url: str, worker_database_url: str
) -> None:
    write = (
        "INSERT INTO tabellion.audit (at, licence_id, actor, route, object, request_id) VALUES (now(), 1, %s, 'r', 'o', 'i')"
    )
    async with await psycopg.AsyncConnection.connect(database_url) as slow:
        await slow.execute(write, ("slow",))
        await trail.db.execute(write, ("quick",))
        assert await seal(trail.db, NOW, patience_s=0) == 0
        sealing = asyncio.create_task(seal(trail.db, NOW))
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as later:
            # Who begins to write afterwards is not waited for.
            async with later.transaction():
                while not await was_settling(later, trail.db.info.backend_pid):
                    pass
                await later.execute(write, ("later",))
                await slow.commit()
                assert await sealing == 2
            assert (await verify(trail.db)).entries_open == 1
            await slow.execute(write, ("undone",))
            await slow.rollback()
        # Nor is who reads, or writes to another database.
        async with await psycopg.AsyncConnection.connect(worker_database_url) as elsewhere:
            await elsewhere.execute(write, ("elsewhere",))
            await slow.execute("SELECT FROM tabellion.audit")
            assert await seal(trail.db, NOW, patience_s=0) == 1
            await elsewhere.rollback()
        assert (await verify(trail.db)).fits


async def was_settling(db: Any, pid: int) -> bool:
    """Whether the connection has looked who is writing."""
    row = await (await db.execute("SELECT query FROM pg_stat_activity WHERE pid = %s", (pid,))).fetchone()
    return "pg_locks" in row[0]


async def test_another_secret(sealed: Trail, tmp_path: Path) -> None:
    kept = head_of((await verify(sealed.db)).head)
    (former,) = secrets.fingerprints()
    secrets.use_key("another", tmp_path)
    await sealed.write(1, entry(NOW + 20 * DAY))
    await seal(sealed.db, NOW + 20 * DAY)
    (misfit,) = (await verify(sealed.db, kept)).misfits
    assert (misfit.first, misfit.last, misfit.wrong) == (1, 9, judging._OF_ANOTHER.format(former))
    assert (await verify(sealed.db, kept, [former])).fits
    assert await verifying.seal_keys(sealed.db) == sorted([former, *secrets.fingerprints()])
    secrets.use_key("another", tmp_path, ["of the tests"])
    assert (await verify(sealed.db, kept)).fits
    secrets.use_key("another", tmp_path)
    # What the secret that is gone has sealed is vouched for by what came after it.
    await sealed.db.execute("UPDATE tabellion.audit_seal SET mac = mac || mac, sealed_at = now() WHERE number = 2")
    assert not (await verify(sealed.db, None, [former])).fits


async def test_without_a_secret_nothing_is_proved_and_none_is_made(sealed: Trail, tmp_path: Path) -> None:
    secrets.use_key("", tmp_path / "elsewhere", at_once=False)
    assert not (await verify(sealed.db)).fits
    assert not (tmp_path / "elsewhere").exists()
