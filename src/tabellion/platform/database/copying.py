"""COPY TO STDOUT, in pieces of many rows: the driver's own reading, row by row, takes longer than the database's writing."""

import select
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
from psycopg import errors
from psycopg.pq import ExecStatus

_PIECE_BYTES = 1 << 20
_LOOK_EVERY_S = 0.5


def copy_out(
    db: psycopg.Connection[Any], statement: bytes, is_stopped: Callable[[], bool] = lambda: False
) -> Iterator[tuple[bytes, int]]:
    """Run `COPY (...) TO STDOUT` and give what comes, about a megabyte at a time, with the number of rows in it.

    For a thread of its own: it blocks, but holds the interpreter only while it takes bytes over. `is_stopped` is asked every
    now and then; when it says so, the statement is cancelled. Raises `psycopg.Error`.
    """
    raw = db.pgconn
    raw.send_query(statement)
    while raw.flush():
        select.select([], [raw.socket], [])
    while raw.is_busy():
        _wait(raw, is_stopped)
    result = raw.get_result()
    if result is None or result.status != ExecStatus.COPY_OUT:
        raise _error(db, result)
    rows, size = 0, 0
    pieces: list[bytes] = []
    while True:
        got, data = raw.get_copy_data(1)
        if got > 0:
            pieces.append(bytes(data))
            rows, size = rows + 1, size + got
            if size >= _PIECE_BYTES:
                yield b"".join(pieces), rows
                rows, size = 0, 0
                pieces.clear()
        elif got == 0:
            _wait(raw, is_stopped)
        else:
            break
    if pieces:
        yield b"".join(pieces), rows
    while raw.is_busy():
        _wait(raw, is_stopped)
    result = raw.get_result()
    if result is None or result.status != ExecStatus.COMMAND_OK:
        raise _error(db, result)
    while raw.get_result() is not None:
        pass


def _wait(raw: Any, is_stopped: Callable[[], bool]) -> None:
    """Until there is something to read, or the end of a statement."""
    cancelled = False
    while True:
        ready, _, _ = select.select([raw.socket], [], [], _LOOK_EVERY_S)
        if ready:
            raw.consume_input()
            return
        if not cancelled and is_stopped():
            raw.get_cancel().cancel()
            cancelled = True


def _error(db: psycopg.Connection[Any], result: Any) -> psycopg.Error:
    if result is None:
        return psycopg.OperationalError("the database did not answer")
    encoding = db.info.encoding
    while db.pgconn.get_result() is not None:
        pass
    if result.status == ExecStatus.FATAL_ERROR:
        return errors.lookup(result.error_field(ord("C")).decode())(result.get_error_message(encoding))
    return psycopg.OperationalError(f"COPY answered {ExecStatus(result.status).name}")
