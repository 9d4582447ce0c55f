"""The mail that tells people how an execution ended: one job per recipient, queued in the transaction that ends it."""

import logging
from datetime import datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec

from tabellion.features.bulk.etls import store
from tabellion.features.bulk.etls.definition import Definition
from tabellion.features.bulk.etls.model import LINKS, Execution
from tabellion.features.bulk.imports import Status
from tabellion.features.delivery import Notice, send_notice
from tabellion.features.licences import Owner, entity_name, zone_and_version
from tabellion.kit.counted import counted
from tabellion.platform import jobs
from tabellion.platform.database.connection import Database
from tabellion.platform.mail import Fate

_log = logging.getLogger(__name__)
REPORT = "etls.report"
_OUTCOMES = {
    Status.DONE.value: "done",
    Status.DONE_WITH_ERRORS.value: "done, with rows in error",
    Status.FAILED.value: "FAILED",
}
_SHOWN_ERRORS = 20


class NotTaken(Exception):
    """No relay took the mail yet."""


async def order_reports(db: Database, ended: Execution) -> None:
    """Queue the mails of an execution that has ended, where its definition wants them."""
    report = msgspec.convert(ended.definition, Definition).report
    if report is None or (report.when == "ON_ERROR" and ended.status == Status.DONE):
        return
    for recipient in dict.fromkeys(report.recipients):
        await jobs.defer(db, REPORT, licence_id=ended.licence_id, execution_id=ended.id, recipient=recipient)


async def send_report(db: Database, execution_id: int, recipient: str, public_url: str, now: datetime) -> None:
    """Send one of them. Raises `NotTaken` when it is worth another try."""
    ended = await store.execution(db, execution_id)
    if ended is None:
        return
    name = "a one-shot ETL"
    if ended.etl_id is not None:
        found = await store.find(db, Owner(ended.licence_id, ended.entity_id), ended.etl_id)
        name = f"ETL '{found.name}'" if found is not None else f"ETL {ended.etl_id}"
    entity = await entity_name(db, ended.entity_id)
    zone, _ = await zone_and_version(db, ended.licence_id)
    notice = Notice(
        ended.licence_id,
        ended.entity_id,
        recipient,
        f"{name}: {_summary(ended)}"[:200],
        _text(ended, name, entity, zone, public_url),
        f"etl-execution.{ended.id}",
    )
    reply = await send_notice(db, notice, urlsplit(public_url).hostname or "localhost", now)
    # Told twice is better than not at all.
    if reply.fate in {Fate.DEFERRED, Fate.UNCERTAIN}:
        raise NotTaken(reply.text)
    if reply.fate is Fate.REJECTED:
        _log.warning("the report of execution %d was refused: %s", ended.id, reply.text)


def _summary(ended: Execution) -> str:
    counters = ended.counters
    rows = counted(counters.read, "row")
    rows = f"{counters.in_error:,} of {rows}" if counters.in_error else rows
    return f"{_OUTCOMES.get(ended.status, ended.status)} ({rows})"


def _text(ended: Execution, name: str, entity: str, zone: ZoneInfo, public_url: str) -> str:
    counters = ended.counters
    link = f"{public_url}{LINKS.execution(entity, ended.id)}"
    lines = [f"{name}, execution {ended.id}, entity '{entity}': {_OUTCOMES.get(ended.status, ended.status)}.", ""]
    for word, moment in (("Began", ended.started_at), ("Ended", ended.ended_at)):
        if moment is not None:
            lines.append(f"{word}: {moment.astimezone(zone):%Y-%m-%d %H:%M:%S} ({zone.key})")
    changed = f"{counters.created:,} created, {counters.updated:,} updated, {counters.unchanged:,} unchanged"
    lines += [
        f"Rows: {counters.read:,} read, {changed}, {counters.in_error:,} in error",
        *(f"  {part.name}: {part.counters.read:,} read, {part.counters.in_error:,} in error" for part in ended.parts),
    ]
    if ended.errors:
        lines += ["", "Why it failed:"]
        for error in ended.errors[:_SHOWN_ERRORS]:
            place = f"{error.field}: " if error.field else ""
            lines.append(f"  {place}{error.code}: {error.message}")
    lines += ["", f"Result: {link}"]
    if counters.in_error:
        lines.append(f"The rows in error, with the reasons: {link}/errors")
    return "\n".join(lines) + "\n"
