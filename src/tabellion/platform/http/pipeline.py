"""The life of a call: admit, check rights and formats, read the body, run the handler, render."""

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Protocol

import psycopg

from tabellion.kit.problem import Problem
from tabellion.platform import files
from tabellion.platform.database.connection import Database
from tabellion.platform.http import etag, idempotency, json_codec, negotiation, render, shapes, xml_codec
from tabellion.platform.http.call import Answer, Call, Form, Incoming
from tabellion.platform.http.etag import is_known
from tabellion.platform.http.exchange import Admission, Exchange, Rendered
from tabellion.platform.http.negotiation import Format
from tabellion.platform.http.paths import decode_segment, split_matrix
from tabellion.platform.http.problems import BodyTooLarge, RightMissing
from tabellion.platform.http.query import Query
from tabellion.platform.http.unknown import header_list, lowered_parameters, unknown_parameters

_log = logging.getLogger(__name__)

Body = AsyncGenerator[bytes]
# Documents that say "nothing", as no body does: integrations send them where none is needed.
_NOTHING = (None, [], {}, "")


class Gatekeeper(Protocol):
    """Who lets calls in; `features.usage` provides it."""

    async def admit(self, exchange: Exchange, call: Call) -> Admission:
        """Authenticate, count against the limits, wait where the licence is slowed down. Raises 401, 429 and 503."""
        ...


class Connections(Protocol):
    """Where handlers get their database connection from."""

    def connection(self, licence_id: int) -> AbstractAsyncContextManager[Database]:
        """A connection in autocommit mode, for work on one licence's tables."""
        ...


class Pipeline:
    """Runs calls. `max_body_bytes` caps every body but uploads; `clock` gives aware UTC moments.

    `translate` turns an exception of a lower layer into a `Problem`.
    """

    def __init__(
        self,
        gate: Gatekeeper,
        connections: Connections,
        *,
        clock: Callable[[], datetime],
        max_body_bytes: int,
        translate: Callable[[BaseException], Problem],
    ) -> None:
        self._gate = gate
        self._connections = connections
        self._clock = clock
        self._max_body_bytes = max_body_bytes
        self._translate = translate

    async def run(self, call: Call, exchange: Exchange, segments: dict[str, str], body: Body) -> Rendered:
        """Answer one call; every `Problem` becomes an answer in the agreed format."""
        exchange.call_id = call.id
        exchange.is_bulk = call.category == "mass-imports"
        fmt: Format | None = None
        try:
            admission = exchange.admission = await self._gate.admit(exchange, call)
            fmt = _agree_on_format(call, exchange)
            self._check_right(call, admission)
            incoming = await self._incoming(call, exchange, admission, segments, body)
            try:
                return await self._execute(incoming, exchange, fmt)
            finally:
                if incoming.upload is not None:
                    incoming.upload.discard()
        except Exception as failure:  # noqa: BLE001 - whatever happened, the caller gets an answer in its format
            error = self._translate(failure)
            _tell_of(getattr(error, "ignored", ()), exchange)
            if error.status == 500:  # noqa: PLR2004 - our own fault
                exchange.error = failure
            exchange.error_code = error.code
            if fmt is None:
                fmt = negotiation.error_format(exchange.headers.get("accept"), call.version)
            rendered = render.problem(error, exchange, fmt, v1=call.version == "v1")
            if error.status == 401 and call.download.startswith("text/html"):  # noqa: PLR2004 - unauthorized
                # A page for people: browsers ask for a password only when Basic is the one way that is offered.
                rendered.headers["WWW-Authenticate"] = 'Basic realm="tabellion", charset="UTF-8"'
            return rendered

    @staticmethod
    def _check_right(call: Call, admission: Admission) -> None:
        if call.module is None:
            return
        if admission.caller.rights.get(call.module) in ("rw", call.right):
            return
        wanted = "read-write" if call.writes else "read"
        raise RightMissing(f"this API user lacks the {wanted} right of the module '{call.module}'")

    async def _incoming(
        self, call: Call, exchange: Exchange, admission: Admission, segments: dict[str, str], body: Body
    ) -> Incoming:
        path, matrix = _placeholders(call, segments)
        if call.writes:
            etag.check(exchange.headers.get("if-match"))
        query = Query.parse(exchange.query)
        ignored_parameters = unknown_parameters(call, query)
        if ignored_parameters:
            exchange.answer_headers["X-Ignored-Parameters"] = header_list(ignored_parameters)
        if lowered := lowered_parameters(call, query):
            exchange.answer_headers["X-Lowered-Parameters"] = header_list(lowered)
        upload = None
        if call.form is None or _is_raw(call, exchange):
            # Asking the server for a body that was not announced costs as much as a call.
            raw = await _read(body, self._max_body_bytes) if exchange.has_body else b""
        elif call.form.optional and not exchange.has_body:
            raw = b""
        else:
            upload = await _form(call, exchange, admission.caller.max_file_bytes, body)
            raw = upload.fingerprint
        document, ignored = _decode(call, exchange, raw)
        _tell_of(ignored, exchange)
        return Incoming(
            call=call,
            caller=admission.caller,
            path=path,
            matrix=matrix,
            query=query,
            headers=exchange.headers,
            body=document,
            db=None,  # pyright: ignore[reportArgumentType] - set by _execute, once a connection is needed
            now=self._clock(),
            request_id=exchange.request_id,
            limits=admission.limits,
            raw_body=raw,
            upload=upload,
            ignored=ignored,
            credential=admission.credential,
        )

    async def _execute(self, incoming: Incoming, exchange: Exchange, fmt: Format) -> Rendered:
        call = incoming.call
        key = exchange.headers.get("idempotency-key") if call.writes else None

        async def handled() -> Answer:
            try:
                return await call.handler(incoming)
            finally:
                # What calls that read the body themselves have found.
                _tell_of(incoming.ignored, exchange)

        async def run() -> Rendered | Answer:
            result = await handled()
            return rendered(result) if result.later is None else result

        def rendered(result: Answer) -> Rendered:
            known = exchange.headers.get("if-none-match")
            if known is not None and result.etag is not None and not call.writes:
                headers = render.tagged(result, result.etag, fmt)
                if is_known(known, headers["ETag"]):
                    return Rendered(304, headers, b"")
            return render.answer(call, result, fmt, exchange)

        def refuse(error: Problem) -> Rendered:
            incoming.afterwards.clear()
            exchange.error_code = error.code
            _tell_of(getattr(error, "ignored", ()), exchange)
            return render.problem(error, exchange, fmt, v1=call.version == "v1")

        if key is not None:
            key = idempotency.read_key(key)
        async with self._connections.connection(incoming.caller.licence_id) as db:
            incoming.db = db
            if key is not None:
                route = f"{call.method} {exchange.path}"
                result = await idempotency.once(incoming, key, route, exchange.query, run, refuse)
                await _finish(incoming)
                if isinstance(result, Rendered):
                    return result
            else:
                result = await handled()
                await _finish(incoming)
        return rendered(await _whole(result))


async def _finish(incoming: Incoming) -> None:
    """Do what is left once the changes are committed; they are there, whatever becomes of it."""
    try:
        for work in incoming.afterwards:
            await work(incoming.db)
    except psycopg.Error as error:
        _log.warning("what comes after the call %s was not done: %s", incoming.call.id, type(error).__name__)


async def _form(call: Call, exchange: Exchange, max_file_bytes: int, body: Body) -> files.Upload:
    form = call.form or Form("")
    total = form.total_bytes
    too_large = BodyTooLarge(f"the files have more than {total:,} bytes together, the most for this call") if total else None
    try:
        return await files.receive(
            body, exchange.headers.get("content-type"), files.spool(), max_bytes=total or max_file_bytes,
            version=call.version, rules=files.Rules(form.file, bool(total), too_large),
        )  # fmt: skip
    except files.FormExpected as error:
        if form.raw_types:
            raise files.FormExpected(f"{error.message}, or {' or '.join(form.raw_types)} as it is") from None
        raise


def _is_raw(call: Call, exchange: Exchange) -> bool:
    return call.form is not None and negotiation.media_type(exchange.headers.get("content-type")) in call.form.raw_types


async def _whole(result: Answer) -> Answer:
    if result.later is not None:
        result.body = await result.later()
    return result


def _agree_on_format(call: Call, exchange: Exchange) -> Format:
    headers = exchange.headers
    accept = headers.get("accept")
    if call.download:
        return negotiation.error_format(accept, call.version)
    fmt = negotiation.answer_format(accept, call.version)
    if exchange.has_body and (call.body is not None or call.form is not None):
        negotiation.require_uncompressed(headers.get("content-encoding"))
    if exchange.has_body and call.body is not None and not call.raw:
        negotiation.request_format(headers.get("content-type"), has_body=True, version=call.version, also=call.json_types)
    return fmt


async def _read(body: Body, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in body:
        size += len(chunk)
        if size > limit:
            raise BodyTooLarge(f"the body is over {limit:,} bytes, the limit of one call")
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _decode(call: Call, exchange: Exchange, raw: bytes) -> tuple[Any, list[str]]:
    if call.body is None or call.raw:
        return None, []
    if call.body_optional and not raw.removeprefix(json_codec.BOM).strip():
        return None, []
    content_type = exchange.headers.get("content-type")
    form = negotiation.request_format(content_type, has_body=bool(raw), version=call.version, also=call.json_types)
    document: object
    if form != "xml":
        document = json_codec.decode(raw)
    elif call.xml_decode is not None:
        document = call.xml_decode(raw, negotiation.charset(content_type))
    else:
        document = xml_codec.decode(raw, call.body, call.body_root, negotiation.charset(content_type))
    if call.body_optional and document in _NOTHING:
        return None, []
    if document == []:
        exchange.hint = "the body is an empty list, which was taken for an empty object"
    return shapes.reader(call.body).read(
        document,
        from_xml=form == "xml",
        strict=call.is_strict(exchange.headers.get("prefer", "")),
        slips=call.version == "v5",
        blanks=call.version != "v4",
        merge=call.merges,
        echoed=call.sent_back,
    )


def _placeholders(call: Call, segments: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    path: dict[str, str] = {}
    matrix: dict[str, str] = {}
    for name, raw in segments.items():
        if name == "s" and call.path.endswith("/segmentation/{s}"):
            path[name], matrix = split_matrix(raw)
        else:
            path[name] = decode_segment(raw)
    return path, matrix


def _tell_of(ignored: Sequence[str], exchange: Exchange) -> None:
    """Tell of members that the call does not know: a misspelt one is why another one is missing."""
    if ignored:
        names = exchange.answer_headers["X-Ignored-Members"] = header_list(ignored)
        exchange.hint = f"ignored, for this call has no such members: {names}"
