"""Idempotency-Key: the effect of a call and the record of its answer are committed together.

The key's scope is licence, user, method and path. While the first call runs, a repetition is refused (409); once it has
ended, the stored answer is replayed byte for byte. What happens is decided under a transaction-level advisory lock, so
that nothing is left behind by a process that dies, and nobody waits.

A dump of the database tells no secret of a call: what it asked for is kept as a MAC, and an answer with a secret sealed.
"""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from tabellion.kit.problem import Problem, invalid
from tabellion.kit.traces import Traces
from tabellion.platform import secrets
from tabellion.platform.database.connection import Database
from tabellion.platform.http.call import Answer, Incoming
from tabellion.platform.http.exchange import Rendered
from tabellion.platform.http.problems import IdempotencyForbidden, IdempotencyMismatch, IdempotencyRunning
from tabellion.platform.secrets.places import Place

KEPT = timedelta(hours=24)
MAX_KEY_LENGTH = 255
# These say nothing about the call itself: the same call may succeed later.
_NOT_STORED = frozenset({401, 403, 429})

_PURPOSE = "idempotency"
# No answer begins with it that is kept as it is.
_SEALED = b"\0"

_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))"
_READ = """
SELECT fingerprint, status, headers::text, body, entities FROM tabellion.idempotency
WHERE licence_id = %(licence)s AND user_id = %(user)s AND route = %(route)s AND key = %(key)s AND created_at > %(oldest)s
"""
_STORE = """
INSERT INTO tabellion.idempotency (licence_id, user_id, route, key, fingerprint, status, headers, body, created_at, entities)
VALUES (%(licence)s, %(user)s, %(route)s, %(key)s, %(fingerprint)s, %(status)s, %(headers)s::jsonb, %(body)s, %(now)s,
    %(entities)s)
ON CONFLICT (licence_id, user_id, route, key) DO UPDATE SET fingerprint = EXCLUDED.fingerprint,
    status = EXCLUDED.status, headers = EXCLUDED.headers, body = EXCLUDED.body, created_at = EXCLUDED.created_at,
    entities = EXCLUDED.entities
"""


def read_key(header: str) -> str:
    """The key without its quotes. Raises `Invalid` (parameter.invalid) when it is empty, too long or not printable."""
    key = header.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':  # noqa: PLR2004 - two quotes
        key = key[1:-1]
    if not key or len(key) > MAX_KEY_LENGTH or not key.isprintable():
        message = f"Idempotency-Key must be 1 to {MAX_KEY_LENGTH} printable characters"
        raise invalid("Idempotency-Key", "parameter.invalid", message)
    return key


async def once(
    call: Incoming,
    key: str,
    route: str,
    query: bytes,
    run: Callable[[], Awaitable[Rendered | Answer]],
    refuse: Callable[[Problem], Rendered],
) -> Rendered | Answer:
    """Run the call unless it ran before; `run` does it and renders, `refuse` renders a refusal (then stored as well).

    An answer that is to be finished later, when other servers have answered, is handed on and not kept: no transaction
    waits for them.

    Raises `IdempotencyRunning`, `IdempotencyMismatch`, and `IdempotencyForbidden` when the user has lost an entity since:
    which of them a call is about only the call knows, and it does not run again. Costs three statements and a transaction
    around the effect.
    """
    asked = b"%d\n%s\n%s" % (len(query), query, call.raw_body)
    caller = call.caller
    scope = {"licence": caller.licence_id, "user": caller.user_id, "route": route, "key": key}
    reach = {entity.id for entity in caller.entities}
    async with call.db.transaction():
        found = await _claim(call.db, scope, call.now - KEPT)
        if found is not None:
            stored, replay, entities = found
            if not entities <= reach:
                raise IdempotencyForbidden(
                    "this API user may no longer use all the entities that it could use when the call was done: the answer "
                    "is not given again"
                )
            # Releases up to 0.9 kept a plain hash, for a day.
            if not secrets.fits(asked, _PURPOSE, stored) and stored != hashlib.sha256(asked).digest():
                raise IdempotencyMismatch(
                    "this Idempotency-Key was used with another query or body, or before the server's own key was "
                    "exchanged; use a new key for a new call"
                )
            return replay
        try:
            async with call.db.transaction():
                rendered = await run()
        except Problem as error:
            if error.status in _NOT_STORED or error.status >= 500:  # noqa: PLR2004 - server errors
                raise
            rendered = refuse(error)
        if isinstance(rendered, Answer):
            return rendered
        record = {
            "fingerprint": secrets.mac(asked, _PURPOSE),
            "status": rendered.status,
            "headers": msgspec.json.encode(rendered.headers).decode(),
            "body": _sealed(rendered.body, scope) if call.call.secret else rendered.body,
            "now": call.now,
            "entities": sorted(reach),
        }
        await call.db.execute(_STORE, scope | record)
        return rendered


async def forget(db: Database, licence_id: int, traces: Traces, until: datetime | None = None) -> int:
    """Delete kept answers that name a person, or whose calls did, of calls up to a moment (None: all); how many.

    Whoever repeats such a call does it anew.
    """
    # What is no text in an answer is escaped, so that whatever it holds can be compared.
    query = """
DELETE FROM tabellion.idempotency i WHERE i.licence_id = %(licence)s
AND (%(until)s::timestamptz IS NULL OR i.created_at <= %(until)s) AND (
    lower(encode(i.body, 'escape')) LIKE ANY (%(escaped_likes)s::text[]) AND lower(encode(i.body, 'escape')) ~ %(escaped)s
    OR lower(concat_ws(' ', i.route, i.key, i.headers)) LIKE ANY (%(likes)s::text[])
       AND lower(concat_ws(' ', i.route, i.key, i.headers)) ~ %(pattern)s)
"""
    names = ("likes", "pattern", "escaped_likes", "escaped")
    values = {"licence": licence_id, "until": until} | {name: getattr(traces, name) for name in names}
    return (await db.execute(query, values)).rowcount


async def _claim(db: Database, scope: dict[str, Any], oldest: datetime) -> tuple[bytes, Rendered, set[int]] | None:
    # Two statements on purpose: the second one's snapshot is taken under the lock, so it sees what the last holder did.
    cursor = await db.execute(_LOCK, (_name(scope),))
    locked = await cursor.fetchone()
    if locked is None or not locked[0]:
        raise IdempotencyRunning("the first call with this Idempotency-Key is still running; repeat a little later")
    cursor = await db.execute(_READ, scope | {"oldest": oldest})
    row = await cursor.fetchone()
    if row is None:
        return None
    fingerprint, status, headers, body, entities = row
    replay_headers = msgspec.json.decode(headers, type=dict[str, str])
    replay = Rendered(status, {**replay_headers, "Idempotency-Replayed": "true"}, _opened(body, scope))
    return fingerprint, replay, set(entities)


def _sealed(body: bytes, scope: dict[str, Any]) -> bytes:
    return _SEALED + secrets.seal_raw(body.decode("latin-1"), f"{_PURPOSE} {_name(scope)}")


def _opened(body: bytes, scope: dict[str, Any]) -> bytes:
    if not body.startswith(_SEALED):
        return body
    return secrets.unseal_raw(body.removeprefix(_SEALED), f"{_PURPOSE} {_name(scope)}").encode("latin-1")


def _name(scope: dict[str, Any]) -> str:
    return "\n".join(str(part) for part in scope.values())


PLACES = (
    Place(
        "kept answers",
        lambda *scope: f"{_PURPOSE} " + "\n".join(map(str, scope)),
        "SELECT licence_id, user_id, route, key, substr(body, 2) FROM tabellion.idempotency "
        "WHERE substr(body, 1, 1) = '\\x00'",
        "UPDATE tabellion.idempotency SET body = '\\x00' || %s::bytea "
        "WHERE licence_id = %s AND user_id = %s AND route = %s AND key = %s AND body = '\\x00' || %s::bytea",
    ),
)
