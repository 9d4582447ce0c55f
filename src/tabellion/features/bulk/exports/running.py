"""The run of an export: one statement, one snapshot, one file. After a crash, or when it gave way, it begins anew."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from psycopg import ClientCursor, sql
from psycopg.adapt import Transformer

from tabellion.features.bulk import fenced, tables
from tabellion.features.bulk.exports import store
from tabellion.features.bulk.exports.definition import Definition, check
from tabellion.features.bulk.exports.model import FILE, LINKS, OVERLAP, Execution, file_name
from tabellion.features.bulk.exports.reading import Rows, read
from tabellion.features.bulk.exports.writing import Target, Written, header, write
from tabellion.features.bulk.fenced import JobError, Stopped
from tabellion.features.bulk.imports import Status, charset_of
from tabellion.features.bulk.names import NamePattern
from tabellion.features.bulk.news import FINISHED, STARTED, tell
from tabellion.features.bulk.tries import TRIES, transferring
from tabellion.features.licences import zone_and_version
from tabellion.features.tables import render_moment
from tabellion.features.tables.filters import FilterFault, compile_filter
from tabellion.features.transfers import open_location
from tabellion.kit.disk import is_full
from tabellion.kit.problem import FieldError
from tabellion.platform.database.advisory import AdvisoryLock
from tabellion.platform.database.connection import Database
from tabellion.platform.database.pool import with_settings
from tabellion.platform.jobs.turns import Turn

_SETTINGS = {"TimeZone": "UTC", "DateStyle": "ISO", "statement_timeout": "0"}
_LOOK_EVERY_S = 0.5
# JSON texts hold no control characters, so with these nothing is ever quoted.
_JSON_COPY = sql.SQL("(FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')")


class Exporter:
    """Runs executions. `clock` gives aware UTC moments; `spool` is the folder of all jobs' folders.

    Without a `turn` nobody else is waited for. `deliveries`: so often in all an execution's location may fail it, the last
    time of which ends it.
    """

    word = "export"
    lock = AdvisoryLock.EXPORT

    def __init__(
        self,
        url: str,
        spool: Path,
        clock: Callable[[], datetime],
        turn: Turn | None = None,
        *,
        deliveries: int = TRIES,
    ) -> None:
        self._turn = turn
        self._deliveries = deliveries
        self._conninfo = with_settings(url, _SETTINGS, application_name="tabellion export")
        self._spool = spool
        self._clock = clock

    async def __call__(self, number: int) -> None:
        """Bring an execution to its end. Raises `Busy`, `GaveWay`, and what database or disk refuse for the moment."""
        await fenced.run(self._conninfo, self, number)

    async def begin(self, db: Database, number: int) -> Execution | None:
        """Take it up; the first time, whoever listens is told."""
        async with db.transaction():
            taken = await store.begin(db, number, self._clock())
            if taken is not None and taken.attempt == 1:
                await tell(db, LINKS, STARTED, taken, self._clock())
        return taken

    async def work(self, db: Database, job: Execution) -> None:
        """Write the file."""
        began = self._clock()
        rows, definition, names = await self._rows(db, job)
        try:
            copying = _Copying(self._conninfo, rows, definition, names, self._spool / job.folder)
            written = await copying.run(db, job, began, self._turn)
        except OSError as error:
            if is_full(error):
                raise JobError("export.diskFull", "the disk of the server is full; its operator has to make room") from None
            raise
        await self._deliver(db, job)
        async with db.transaction():
            if not await store.finish(db, job, written, self._clock()):
                raise Stopped
            await store.set_changed_since(db, job, began - OVERLAP)
            await self._told(db, job)

    async def _deliver(self, db: Database, job: Execution) -> None:
        """Write the file to the export's location, if it has one; again under the same name after a crash."""
        location_id = job.definition.get("locationId")
        if location_id is None:
            return
        zone, _ = await zone_and_version(db, job.licence_id)
        pattern, name = job.definition.get("fileName"), file_name(job)
        if pattern is not None:
            name = NamePattern(pattern).at(job.created_at.astimezone(zone))
        async with transferring(lambda: store.transfer_failed(db, job), self._deliveries):
            _, opening = await open_location(db, job.licence_id, job.entity_id, int(location_id))
            async with opening as folder:
                await folder.store(self._spool / job.folder / FILE, name)

    async def fail(self, db: Database, job: Execution, why: FieldError) -> None:
        """End it."""
        async with db.transaction():
            if not await store.end(db, job.id, Status.FAILED, self._clock(), [why]):
                raise Stopped
            await self._told(db, job)

    async def _rows(self, db: Database, job: Execution) -> tuple[Rows, Definition, list[str]]:
        definition = msgspec.convert(job.definition, Definition)
        zone, version = await zone_and_version(db, job.licence_id)
        known = await tables.of_licence(db, job.licence_id, definition.table_type, version)
        table = next((t for t in known if t.public_id == definition.table_id and t.entity_id == job.entity_id), None)
        if table is None:
            raise JobError("table.unknown", "the table was deleted")
        chosen, faults = check(definition, table, zone)
        if faults:
            raise JobError(faults[0].code, f"{faults[0].field}: {faults[0].message}")
        try:
            condition = compile_filter(table, definition.filter or "", zone, self._clock())
        except FilterFault as error:
            raise JobError(error.code, error.message) from None
        is_csv = definition.format.type == "CSV"
        selected = chosen.csv(protect_formulas=definition.format.protect_formulas) if is_csv else chosen.json()
        relation = sql.Identifier(table.schema, table.relation)
        since = sql.SQL("")
        if job.changed_since is not None:
            since = sql.SQL(" AND t.updated_at >= {}").format(sql.Literal(job.changed_since))
        where = sql.SQL("({}){}").format(_Bound(condition.sql, condition.params), since)
        csv = sql.SQL("(FORMAT csv, DELIMITER {}, QUOTE {})").format(
            sql.Literal(definition.format.separator), sql.Literal(definition.format.enclosing)
        )
        rows = Rows(selected, relation, where, csv if is_csv else _JSON_COPY)
        return rows, definition, [column.header for column in chosen.columns]

    async def _told(self, db: Database, job: Execution) -> None:
        ended = await store.execution(db, job.id)
        if ended is not None:
            await tell(db, LINKS, FINISHED, ended, self._clock())


class _Bound(sql.Composable):
    """A condition with its values in the text, escaped by the driver: COPY takes no parameters."""

    def __init__(self, text: str, values: tuple[Any, ...]) -> None:
        super().__init__((text, values))
        self._text = text
        self._values = values

    def as_bytes(self, context: Any = None) -> bytes:
        """The condition. Needs a connection."""
        connection: Any = context.connection if isinstance(context, Transformer) else context
        return ClientCursor(connection).mogrify(self._text.encode(), self._values).encode()


class _Copying:
    """The statement in a thread of its own; meanwhile its progress is written down."""

    def __init__(self, conninfo: str, rows: Rows, definition: Definition, names: list[str], folder: Path) -> None:
        self._conninfo = conninfo
        self._source = rows
        self._definition = definition
        self._names = names
        self._folder = folder
        self._rows = 0
        self._expected = 0
        self._stopped = threading.Event()

    async def run(self, db: Database, job: Execution, began: datetime, turn: Turn | None) -> Written:
        work = asyncio.create_task(asyncio.to_thread(self._work, render_moment(began)))
        try:
            while not (await asyncio.wait({work}, timeout=_LOOK_EVERY_S))[0]:
                if not await store.advance(db, job, self._rows, self._expected):
                    raise Stopped
                if turn is not None:
                    await turn.end_if_others_wait(db)
        finally:
            self._stopped.set()
            await asyncio.wait({work})
        return work.result()

    def _work(self, moment: str) -> Written:
        format_ = self._definition.format
        self._folder.mkdir(mode=0o700, exist_ok=True)
        is_csv = format_.type == "CSV"
        first = header(self._names, format_.separator, format_.enclosing) if is_csv else ""
        name = f"export.{'csv' if is_csv else 'jsonl'}"
        target = Target(self._folder / FILE, name, self._definition.compression, charset_of(format_.encoding), moment)
        pieces = read(self._conninfo, self._source, self._expect, self._stopped.is_set)
        with closing(pieces):
            return write(target, first, pieces, self._progress)

    def _expect(self, rows: int) -> None:
        self._expected = rows

    def _progress(self, rows: int) -> None:
        self._rows = rows
