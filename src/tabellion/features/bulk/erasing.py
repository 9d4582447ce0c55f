"""The files of a licence that is erased: they go with it, not with the nightly purge."""

import shutil
from pathlib import Path
from typing import Final

from tabellion.platform import files, jobs
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalars

TASK = "bulk.erase"
_AT_ONCE = 1000
_LOCK: Final = "SELECT FROM tabellion.licence WHERE id = %s FOR UPDATE"
_FOLDERS: Final = """
SELECT folder FROM tabellion.import_job WHERE licence_id = %(licence)s AND execution_id IS NULL
UNION SELECT folder FROM tabellion.etl_execution WHERE licence_id = %(licence)s
UNION SELECT folder FROM tabellion.export_execution WHERE licence_id = %(licence)s
"""


async def order(db: Database, licence_id: int) -> None:
    """Have a worker erase the files of a licence, in the transaction that erases the licence."""
    # Bulk calls that are being accepted come before this, and are found, or find no licence any more.
    await db.execute(_LOCK, (licence_id,))
    found = await scalars(db, _FOLDERS, {"licence": licence_id})
    for i in range(0, len(found), _AT_ONCE):
        await jobs.defer(db, TASK, folders=found[i : i + _AT_ONCE])


def erase(spool: Path, folders: list[str]) -> None:
    """Erase folders; those that are gone already are no matter. Raises `OSError`, also when something stays."""
    with files.deleting(spool):
        for folder in folders:
            # Under another name first: a job that is still at work there puts nothing into what is being erased. It is the
            # same one each time, so that what a former try could not erase is found again.
            away = spool / f"erased-{folder}"
            if away.exists():
                shutil.rmtree(away)
            try:
                (spool / folder).rename(away)
            except FileNotFoundError:
                continue
            shutil.rmtree(away)
