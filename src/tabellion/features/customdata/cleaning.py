"""Cleaning: records whose moment is older than their table's rule allows are deleted, as calls delete them."""

import logging
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from psycopg import errors

from tabellion.features.customdata.model import CUSTOM_TABLES, CleaningRule, CustomTable
from tabellion.features.customdata.service.structure import custom_tables
from tabellion.features.customdata.store import clean_batch, cleaned_licences
from tabellion.features.tables import referrers
from tabellion.platform import outbox
from tabellion.platform.database.connection import Database

_log = logging.getLogger(__name__)
_BATCH = 2000
_COLUMNS = {"creationmoment": "created_at", "updatemoment": "updated_at"}


async def clean(db: Database, now: datetime) -> int:
    """Delete what the rules of all licences' custom tables say; returns how many records.

    Who listens to deletions is told. What records refer to (RESTRICT) stays. Where a record is met that would take such
    along, or that somebody holds for too long, the rest of its table stays until the next night.
    """
    count = 0
    for licence_id, zone, version in await cleaned_licences(db):
        listened = await outbox.interests(db, licence_id, version)
        for table in await custom_tables.load(db, licence_id):
            rule = table.definition.cleaning_rule
            if rule is not None:
                told = "DELETE" in listened.get((CUSTOM_TABLES.subject, table.public_id), outbox.NOBODY)
                count += await _clean(db, table, _limit(table, rule, now, ZoneInfo(zone)), now, told=told)
    return count


async def _clean(db: Database, table: CustomTable, limit: tuple[str, Any], now: datetime, *, told: bool) -> int:
    count = 0
    keepers = [each for each in await referrers(db, table) if each.on_delete == "RESTRICT"]
    while True:
        try:
            done = await clean_batch(db, table, *limit, now, _BATCH, told=told, keepers=keepers)
        except (errors.ForeignKeyViolation, errors.RestrictViolation):
            _log.warning("records of the custom table %s are referred to and stay", table.public_id)
            return count
        except (errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected):
            _log.warning("the custom table %s was busy: its old records stay until the next night", table.public_id)
            return count
        except (errors.UndefinedTable, errors.UndefinedColumn):
            return count  # changed just now: the next night knows its rule
        count += done
        if done < _BATCH:
            return count


def _limit(table: CustomTable, rule: CleaningRule, now: datetime, zone: ZoneInfo) -> tuple[str, Any]:
    """The column and what its values must not be below: moments to the instant, dates on the licence's calendar."""
    before = now - timedelta(days=rule.older_than_days)
    column = _COLUMNS.get(rule.attribute.lower())
    if column is not None:
        return column, before
    attribute = table.attributes_by_name[rule.attribute.lower()]
    return attribute.column, before.astimezone(zone).date() if attribute.value_type == "DATE" else before
