"""`audit`: who changed what in a licence, and when; and whether that was changed."""

import json
import re
import sys
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
import typer
from typer.core import TyperGroup

from tabellion.cli.common import AsJson, DatabaseUrl, DataDir, console, fail, harmless, on_database, show
from tabellion.features.licences import AdminError, get_licence, list_licences
from tabellion.features.tables import BadValue, parse_moment
from tabellion.kit.clock import utc_now
from tabellion.kit.counted import counted
from tabellion.kit.digits import BIGINT, INTEGER, number_of
from tabellion.platform.audit import Entry, Head, Verdict, Wanted, read, seal_keys, verify
from tabellion.platform.database.connection import Database

# As the trail names a licence; no name has a slash.
_BY_ID = "licence/"
_HEAD = re.compile(r"(\d{1,19}):([0-9a-f]{64})", re.ASCII)
_AGO = re.compile(r"(\d{1,6})([mhd])", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_MOMENT = "a date, a moment (2027-03-01T08:15), or so long ago: 30m, 12h, 7d"


class _TrailUnlessNamed(TyperGroup):
    """`audit LICENCE` is `audit trail LICENCE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["trail", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_TrailUnlessNamed,
    no_args_is_help=True,
    help="Tell who changed what in a licence (audit LICENCE), and whether the trail is what it was.",
)


@app.command("trail")
def trail(
    licence: Annotated[
        str, typer.Argument(metavar="LICENCE", help="Name of the licence; licence/7 for the id 7, also of an erased one.")
    ],
    since: Annotated[str | None, typer.Option(help=f"From then on: {_MOMENT}.")] = None,
    until: Annotated[str | None, typer.Option(help="Before then: the same.")] = None,
    actor: Annotated[str | None, typer.Option(help="Who: login of an API user, 'cli' or 'server'.")] = None,
    object_: Annotated[
        str | None,
        typer.Option("--object", help="What was changed, such as profile/1/31 (of the table 1); profile/ is every one."),
    ] = None,
    route: Annotated[
        str | None, typer.Option(help="Name of the call or verb, such as profiles.v5.put; profiles. is all that begin so.")
    ] = None,
    request: Annotated[
        str | None, typer.Option(help="Id of the request, as answers (X-Request-Id) and logs have it.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=BIGINT, help="At most so many.")] = 50,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Tell who changed what in a licence, the latest first.

    Entries have ids and no values. They stay for TABELLION_AUDIT_RETENTION_DAYS, also those of a licence that was erased.

    Moments without offset are in the licence's time zone; tables show that zone, JSON has UTC.
    """

    async def work(db: Database) -> None:
        now = utc_now()
        licence_id, zone = await _licence(db, licence)
        begin, end = (_moment(name, text, zone, now) for name, text in (("--since", since), ("--until", until)))
        if begin is not None and end is not None and begin >= end:
            fail("--since is not before --until")
        wanted = Wanted(licence_id, begin, end, actor, object_, route, request)
        printer = _Json() if as_json else _Tables(zone)
        async with aclosing(read(db, wanted, limit, now)) as blocks:
            async for block in blocks:
                printer.show(block)
        printer.end()
        sys.stdout.flush()

    on_database(data_dir, database_url, work)


@app.command("verify")
def verify_trail(
    head: Annotated[
        str | None, typer.Option(help="A head that was printed before and kept elsewhere: it has to be in the trail.")
    ] = None,
    accept_key: Annotated[
        list[str] | None,
        typer.Option(help="Fingerprint of a secret that the server had before; may be given several times."),
    ] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Compare the audit trail of all licences with its seals; the status is 1 where anything does not fit.

    Entries are sealed within five minutes or so, by the worker. Whoever can write to the database alone cannot make seals,
    but can cut off the end of the trail: keep the head that is printed elsewhere, and give it with --head the next time.
    """
    kept = None if head is None else _head(head)

    async def work(db: Database) -> Verdict:
        known = await seal_keys(db)
        for each in accept_key or ():
            if each not in known:
                listed = ", ".join(known) or "there is no seal yet"
                raise AdminError(f"no seal was made with a secret of the fingerprint '{each[:40]}' (they are of: {listed})")
        return await verify(db, kept, accept_key or ())

    found = on_database(data_dir, database_url, work)
    if as_json:
        _print(json.dumps(msgspec.to_builtins(found)))
    else:
        _show(found)
    if not found.fits:
        raise typer.Exit(1)


def _head(text: str) -> Head:
    if (parts := _HEAD.fullmatch(text.strip())) is None or (number := number_of(parts[1], BIGINT)) is None:
        fail(f"--head is what audit verify has printed, such as 57:3f9a... with 64 digits after the colon, not '{text}'")
    return Head(number, bytes.fromhex(parts[2]))


def _show(found: Verdict) -> None:
    for each in found.misfits:
        seals = f"seal {each.first}" if each.first == each.last else f"seals {each.first} to {each.last}"
        where = ""
        if each.sealed_from is not None and each.sealed_to is not None:
            ids = f"ids up to {each.last_id}" if each.after_id is None else f"ids {each.after_id + 1} to {each.last_id}"
            where = f" ({ids}, sealed {each.sealed_from:%Y-%m-%d %H:%M} to {each.sealed_to:%Y-%m-%d %H:%M} UTC)"
        console().print(harmless(f"{seals}: {each.wrong}{where}"))
    since = f", the first from {found.open_since:%Y-%m-%d %H:%M} UTC" if found.open_since else ""
    outcome = "The trail is what it was" if found.fits else "The trail does not fit"
    console().print(
        f"{outcome}: {counted(found.entries, 'entry', 'entries')}, {counted(found.seals, 'seal')}. "
        f"Deleted for their age: {found.entries_gone:,}; not sealed yet: {found.entries_open:,}{since}."
    )
    if found.head is not None:
        console().print(f"head   {found.head}", soft_wrap=True)


async def _licence(db: Database, name: str) -> tuple[int, ZoneInfo]:
    """The id of a licence, and the zone of its moments. Raises `AdminError`."""
    if not name.startswith(_BY_ID):
        found = await get_licence(db, name)
        return found.id, ZoneInfo(found.time_zone)
    number = number_of(name.removeprefix(_BY_ID), INTEGER)
    if number is None:
        raise AdminError(f"the id of a licence is a number, as in {_BY_ID}7, not '{name.removeprefix(_BY_ID)}'")
    zones = {each.id: each.time_zone for each in await list_licences(db)}
    return number, ZoneInfo(zones.get(number, "UTC"))


def _moment(option: str, text: str | None, zone: ZoneInfo, now: datetime) -> datetime | None:
    if text is None:
        return None
    try:
        if (ago := _AGO.fullmatch(text.strip())) is not None:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        found = parse_moment(text, zone)
    except (BadValue, OverflowError):
        found = None
    if found is None:
        fail(f"{option} is {_MOMENT}, not '{text}'")
    return found


class _Json:
    """One document, however long it is."""

    def __init__(self) -> None:
        self._before = "["

    def show(self, block: Sequence[Entry]) -> None:
        for entry in block:
            plain: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(entry, at=entry.at.astimezone(UTC)))
            _print(self._before + json.dumps(plain, ensure_ascii=False), end="")
            self._before = ",\n"

    def end(self) -> None:
        _print("[]" if self._before == "[" else "]")


class _Tables:
    """A table for each block: how wide its columns are is known when all its rows are."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._is_empty = True

    def show(self, block: Sequence[Entry]) -> None:
        rows = [
            {
                "at": entry.at.astimezone(self._zone).isoformat(timespec="seconds"),
                "actor": entry.actor,
                "credential": entry.credential,
                "route": entry.route,
                "object": entry.object,
                "request": entry.request_id,
                "note": entry.note,
            }
            for entry in block
        ]
        show(rows, as_json=False, title="audit trail" if self._is_empty else "")
        self._is_empty = False

    def end(self) -> None:
        if self._is_empty:
            console().print("no entries", style="dim")


def _print(text: str, end: str = "\n") -> None:
    print(text, end=end)  # noqa: T201 - the command line speaks
