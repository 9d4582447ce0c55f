"""The audit trail: who did what to which object, written in the transaction of the change. Ids only, never values.

It is sealed afterwards, so that a change of it shows (docs/adr/0066-audit-seals.md).
"""

from datetime import datetime
from typing import Any

from tabellion.platform.audit.purging import purge
from tabellion.platform.audit.reading import Entry, Wanted, read
from tabellion.platform.audit.sealing import seal
from tabellion.platform.audit.verifying import Head, Verdict, seal_keys, verify
from tabellion.platform.database.connection import Database
from tabellion.platform.http.call import Incoming

__all__ = [
    "COLUMNS",
    "Entry",
    "Head",
    "Verdict",
    "Wanted",
    "purge",
    "read",
    "record",
    "record_admin",
    "record_server",
    "seal",
    "seal_keys",
    "selected",
    "values",
    "values_of_nobody",
    "verify",
]

# For stores that write the change and its audit row in one statement: `INSERT ... (COLUMNS) SELECT <selected()>, <object>`.
COLUMNS = "at, licence_id, user_id, actor, route, request_id, credential, object"

_INSERT = (
    "INSERT INTO tabellion.audit (at, licence_id, user_id, actor, route, request_id, object, note, credential) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
)


def selected(licence_id: int) -> str:
    """The values of `COLUMNS` but the object; parameters: `now` and those of `values`."""
    return (
        f"%(now)s::timestamptz, {licence_id:d}, %(audit_user)s::int, %(audit_actor)s::text, %(audit_route)s::text, "
        "%(audit_request)s::text, %(audit_credential)s::text"
    )


def values(call: Incoming) -> dict[str, Any]:
    """The parameters that `selected` names, but `now`."""
    return {
        "audit_user": call.caller.user_id,
        "audit_actor": call.caller.login,
        "audit_route": call.call.id,
        "audit_request": call.request_id,
        "audit_credential": call.credential,
    }


def values_of_nobody(actor: str) -> dict[str, Any]:
    """The same where no API user calls: `actor` is a page that people use."""
    nobody = {"audit_user": None, "audit_request": "", "audit_credential": None}
    return nobody | {"audit_actor": actor, "audit_route": actor}


async def record(db: Database, call: Incoming, object_: str, note: str | None = None) -> None:
    """Write one row for a change made by an API call; `object_` is such as `profile-table/31`.

    `note`: what else there is to say: what was overridden and why, how much it was.
    """
    caller = call.caller
    who = (caller.licence_id, caller.user_id, caller.login)
    await db.execute(_INSERT, (call.now, *who, call.call.id, call.request_id, object_, note, call.credential))


async def record_admin(
    db: Database, licence_id: int, action: str, object_: str, now: datetime, note: str | None = None
) -> None:
    """Write one row for a change made on the command line; `action` is the verb (`user create`), `note` as `record`'s."""
    await db.execute(_INSERT, (now, licence_id, None, "cli", action, "", object_, note, None))


async def record_server(
    db: Database, licence_id: int, action: str, object_: str, now: datetime, note: str | None = None
) -> None:
    """Write one row for a change that the server made by itself; `action` says what and why, `note` as `record`'s."""
    await db.execute(_INSERT, (now, licence_id, None, "server", action, "", object_, note, None))
