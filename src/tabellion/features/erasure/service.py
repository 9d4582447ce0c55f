"""Use cases of erasures: erase what the database has at once, all or nothing; then what is in files, or still on its way."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from tabellion.features.bulk import searching
from tabellion.features.delivery import forms_of, stripping, suppression_store
from tabellion.features.erasure import exports, forgetting, overlap, returned, store
from tabellion.features.erasure.errors import ErasureUnknown, NotYet, TooManyProfiles
from tabellion.features.erasure.forgetting import Asked
from tabellion.features.erasure.model import Counts, Erasure
from tabellion.features.licences import check_reaches_all
from tabellion.features.profiles import RowInUse
from tabellion.kit.clock import utc_now
from tabellion.kit.digits import number_of
from tabellion.kit.problem import invalid
from tabellion.kit.traces import Traces, traces_of
from tabellion.platform import audit, jobs, secrets
from tabellion.platform.database.connection import Database
from tabellion.platform.http import idempotency
from tabellion.platform.http.call import Incoming
from tabellion.platform.jobs import sealed

TASK = "erasure.finish"
_MAX_ADDRESS = 320
_PATIENCE = timedelta(days=7)
_LOST = (
    "the key that sealed whom it is about is lost: files, and what was on its way, were not searched; erase the person again"
)


class Rest(NamedTuple):
    """What a worker has still to do of an erasure: the `person` is sealed, `flying` are mails that were on their way.

    `seen_until`: up to when others may have seen the person, by the database's clock; `reached`: see `Watermark`. None: of a
    job of a former release.
    """

    licence_id: int
    number: int
    person: str
    flying: list[int]
    seen_until: str | None = None
    reached: Sequence[int] = ()


async def ask(call: Incoming, address: str, *, suppress: bool) -> Erasure:
    """Erase the person with an address. Raises `EntityForbidden`, `Invalid`, `RowInUse`, `TooManyProfiles`."""
    check_reaches_all(call.caller, "the erasure of a person")
    wanted = address.strip()
    if not is_address(wanted):
        raise invalid("address", "attribute.value", "'address' expects an e-mail address")
    async with call.db.transaction():
        done = await erase(call.db, Asked(call.caller.licence_id, wanted, suppress, audit.values(call), call.now))
        await audit.record(call.db, call, object_of(done), str(done.counts))
    return done


def is_address(text: str) -> bool:
    """Whether it could be an address that profiles have: none of theirs has a domain of one part."""
    local, _, domain = text.rpartition("@")
    return bool(local) and "." in domain and len(text) <= _MAX_ADDRESS and text.isprintable() and " " not in text


def object_of(erasure: Erasure) -> str:
    """An erasure in the audit trail, which notes what was found, and not of whom."""
    return f"erasure/{erasure.id:d}"


async def get(call: Incoming) -> Erasure:
    """The erasure of the path. Raises `ErasureUnknown`."""
    number = number_of(call.path["i"])
    found = None if number is None else await store.find(call.db, call.caller.licence_id, number)
    if found is None:
        raise ErasureUnknown(f"the licence has no erasure '{call.path['i'][:30]}'")
    return found


async def erase(db: Database, asked: Asked) -> Erasure:
    """Erase what the database has of a person, in the caller's transaction, and have a worker do the rest.

    Raises `RowInUse`, `TooManyProfiles`.
    """
    licence_id, address, now = asked.licence_id, asked.address, asked.now
    people = await forgetting.people_at(db, licence_id, address)
    counts, flying, traces = await forgetting.forget_what_tells_of(db, asked, people, await _reached(db, asked))
    counts = counts.plus(await forgetting.delete(db, asked, people, traces))
    suppressed = await suppression_store.forget_person(db, licence_id, address, now, suppress=asked.suppress)
    # Others may have held it up: what was accepted meanwhile still saw the person.
    reached = await _reached(db, asked)
    number, seen_until = await store.insert(
        db, licence_id, reached.moment, suppressed=suppressed, counts=counts, tables=forgetting.tables_of(people, traces)
    )
    sealed = secrets.seal(address, _purpose(licence_id, number))
    rest = Rest(licence_id, number, sealed, flying, seen_until.isoformat(), reached[1:])
    await jobs.defer(db, TASK, licence_id=licence_id, rest=rest._asdict())
    return Erasure(number, licence_id, reached.moment, None, suppressed, counts, None)


async def _reached(db: Database, asked: Asked) -> store.Watermark:
    return await store.watermark(db, asked.licence_id, max(asked.now, utc_now()))


async def count_profiles(db: Database, licence_id: int, address: str) -> int:
    """How many profiles have an address. Raises `TooManyProfiles`."""
    return sum(len(profiles) for _, profiles in await forgetting.people_at(db, licence_id, address))


async def finish(db: Database, spool: Path, rest: Rest, now: datetime) -> None:
    """Erase what was on its way when the erasure was asked for, and files; a worker that dies over it begins anew.

    Whose key is lost ends as failed, once it is a week old: until then the operator may put the key back.

    Raises `NotYet`, `SecretUnreadable`, `OSError`.
    """
    licence_id, number = rest.licence_id, rest.number
    erasure = await store.find(db, licence_id, number)
    if erasure is None or erasure.ended_at is not None:
        return
    until, reached = erasure.asked_at, store.Watermark(erasure.asked_at, *rest.reached)
    try:
        address = secrets.unseal(rest.person, _purpose(licence_id, number))
    except secrets.SecretUnreadable:
        if now - until < _PATIENCE:
            raise
        # With the key, whom the rest is about.
        await _give_up(db, erasure, now, _LOST)
        return
    traces = traces_of(forms_of(address))
    seen_until = until if rest.seen_until is None else datetime.fromisoformat(rest.seen_until)
    if not await overlap.has_ended(db, seen_until, now):
        raise NotYet("transactions that were open at that moment have not ended")
    async with db.transaction():
        known = await store.find(db, licence_id, number, lock=True)
        if known is None:
            return
        mails = [*await stripping.mails_to(db, licence_id, address, [], until, reached.mails), *rest.flying]
        asked = returned.asked_by_server(licence_id, address, now)
        counts, flying = await forgetting.forget_mails(db, asked, mails, reached)
        counts = counts.plus(await forgetting.forget_news(db, licence_id, traces, reached))
        counts = counts.plus(await forgetting.forget_news(db, licence_id, traces_of([], mails=mails), None))
        await store.change(db, number, known.counts.plus(counts), None)
    folders = await searching.folders_of(db, licence_id, reached.accepted)
    if flying or folders.others:
        raise NotYet(f"{len(flying)} mails are on their way, {len(folders.others)} bulk calls at work")
    files = await asyncio.to_thread(searching.forget_files, spool, folders.ended, traces)
    files += await exports.forget_without_address(db, spool, erasure, None, reached.accepted)
    try:
        await _forget_returned(db, erasure, address, reached.accepted, files, now)
    except (RowInUse, TooManyProfiles) as error:
        await _give_up(db, erasure, now, f"an import that was at work brought the person back, and {error.message}")
        return
    files = await exports.forget_of_returned(db, spool, erasure, traces)
    await _end(db, erasure, traces, reached.accepted, files, now)


async def _forget_returned(
    db: Database, erasure: Erasure, address: str, accepted: searching.Accepted, files: int, now: datetime
) -> None:
    """Erase whom imports have brought back. Raises `NotYet`, `RowInUse`, `TooManyProfiles`."""
    async with db.transaction():
        known = await store.find(db, erasure.licence_id, erasure.id, lock=True)
        if known is None:
            return
        found = await returned.forget(db, erasure, address, accepted, now)
        await store.change(db, erasure.id, known.counts.plus(Counts(files=files)).plus(found.counts), None)
        if found.counts.profiles:
            await store.set_returned(db, erasure.id, found.tables)
    if found.flying:
        raise NotYet(f"{len(found.flying)} mails to whom an import brought back are on their way")


async def _end(
    db: Database, erasure: Erasure, traces: Traces, accepted: searching.Accepted, files: int, now: datetime
) -> None:
    """Erase what is kept of bulk calls in the database, and answers kept since; then it has ended."""
    licence_id, number = erasure.licence_id, erasure.id
    async with db.transaction():
        files += await searching.forget_parts(db, licence_id, traces)
        await searching.forget_records(db, licence_id, traces, accepted)
        # That to the call that asked for it is one of them: its key may have the address in it.
        answers = await idempotency.forget(db, licence_id, traces, erasure.asked_at)
        known = await store.find(db, licence_id, number, lock=True)
        if known is None:
            return
        counts = known.counts.plus(Counts(files=files, answers=answers))
        await store.change(db, number, counts, now)
        await audit.record_server(db, licence_id, "erasure ended", object_of(erasure), now, str(counts))


async def _give_up(db: Database, erasure: Erasure, now: datetime, why: str) -> None:
    """Somebody has to name the person again."""
    async with db.transaction():
        await store.fail(db, erasure.id, now, why)
        await audit.record_server(db, erasure.licence_id, "erasure failed", object_of(erasure), now, why)


def _purpose(licence_id: int, number: int) -> str:
    return f"erasure {licence_id:d} {number:d}"


PLACES = (
    sealed.place(
        "of erasures",
        TASK,
        "rest,person",
        ("rest,licence_id", "rest,number"),
        lambda licence_id, number: _purpose(int(licence_id), int(number)),
    ),
)
