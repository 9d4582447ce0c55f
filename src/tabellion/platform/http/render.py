"""Answers and refusals in bytes: JSON, XML (v4), problem documents (RFC 9457) and the XML of v1, in one place."""

import re
from http import HTTPStatus
from typing import Any

import msgspec

from tabellion.kit.problem import FieldError, Invalid, Problem
from tabellion.platform.http import json_codec, xml_codec
from tabellion.platform.http.call import Answer, Call
from tabellion.platform.http.etag import shown
from tabellion.platform.http.exchange import Exchange, Rendered
from tabellion.platform.http.negotiation import Format

XML_DEPRECATION = {
    # 2019-01-01T00:00:00Z, when XML was declared deprecated; no Sunset: it is accepted until further notice.
    "Deprecation": "@1546300800",
    "Link": '</docs/deprecation/xml>; rel="deprecation"; type="text/html"',
}
# What an answer depends on besides its address.
VARY = "Accept, Accept-Encoding"
_PROBLEM_JSON = "application/problem+json"
# What a name in a header, and on the disks of all machines, had better be without.
_UNSAFE = re.compile(r"[^A-Za-z0-9 ._-]")


class ErrorDocument(msgspec.Struct, rename="camel"):
    """The error body of v4 and v5."""

    status: int
    code: str
    message: str
    errors: tuple[FieldError, ...]
    request_id: str


class ProblemDocument(msgspec.Struct, rename="camel", omit_defaults=True):
    """The same as a problem document, for callers that name `application/problem+json` in `Accept`."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: tuple[FieldError, ...]
    request_id: str
    violated_policies: tuple[str, ...] | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="violated-policies")


def tagged(result: Answer, state: str, fmt: Format) -> dict[str, str]:
    """What caches are told of an answer that shows a state, also where it is the one that they have."""
    return {"ETag": shown(state, xml=fmt.is_xml and result.body is not None), "Vary": VARY}


def answer(call: Call, result: Answer, fmt: Format, exchange: Exchange) -> Rendered:
    """Render what a handler returned in the caller's format."""
    headers = dict(result.headers)
    if result.location is not None:
        headers["Location"] = exchange.family + result.location
    if result.etag is not None:
        headers |= tagged(result, result.etag, fmt)
    if result.file is not None or result.content is not None:
        headers = {"Content-Type": call.download} | headers
        if result.name:
            headers["Content-Disposition"] = f'attachment; filename="{_UNSAFE.sub("_", result.name)}"'
        return Rendered(result.status, headers, result.content or b"", result.file)
    if result.body is None:
        return Rendered(result.status, headers, b"")
    headers.setdefault("Content-Type", fmt.content_type)
    if fmt.is_xml:
        headers.update(XML_DEPRECATION)
        encode = call.xml_encode or xml_codec.encode
        return Rendered(result.status, headers, encode(result.body, call.answer_root))
    return Rendered(result.status, headers, json_codec.encode(result.body))


def problem(error: Problem, exchange: Exchange, fmt: Format | None, *, v1: bool = False) -> Rendered:
    """Render a refusal. `fmt` is None where the format could not be agreed on: then it is JSON."""
    headers = dict(error.headers)
    if exchange.admission is not None and "Retry-After" in headers:
        # Who came back before that would only wait again.
        headers["Retry-After"] = str(max(int(headers["Retry-After"]), exchange.admission.limits.reset_s))
    if v1:
        headers["Content-Type"] = "application/xml;charset=UTF-8"
        texts = [e.message for e in error.errors] or [error.message]
        return Rendered(error.status, headers, xml_codec.encode(V1Errors(texts), "errors"))
    if fmt is not None and fmt.is_problem:
        headers["Content-Type"] = _PROBLEM_JSON
        return Rendered(error.status, headers, json_codec.encode(_problem_document(error, exchange)))
    document = ErrorDocument(error.status, error.code, _message(error, exchange), error.errors, exchange.request_id)
    if fmt is not None and fmt.is_xml:
        headers["Content-Type"] = fmt.content_type
        headers.update(XML_DEPRECATION)
        return Rendered(error.status, headers, xml_codec.encode(document, "error"))
    headers["Content-Type"] = "application/json;charset=UTF-8"
    return Rendered(error.status, headers, json_codec.encode(document))


class V1Errors(msgspec.Struct):
    """The error body of v1: one or more texts."""

    errors: list[str]


def _message(error: Problem, exchange: Exchange) -> str:
    # A member that is refused for being unknown is not ignored.
    hinted = exchange.hint and isinstance(error, Invalid) and error.code != "member.unknown"
    return f"{error.message} ({exchange.hint})" if hinted else error.message


def _problem_document(error: Problem, exchange: Exchange) -> ProblemDocument:
    policies: Any = getattr(error, "violated_policies", ())
    return ProblemDocument(
        type=f"/problems/{error.code}",
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        detail=_message(error, exchange),
        instance=exchange.family + exchange.path,
        code=error.code,
        errors=error.errors,
        request_id=exchange.request_id,
        violated_policies=tuple(policies) or msgspec.UNSET,
    )
