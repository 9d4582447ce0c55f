"""The OpenAPI 3.1 document, made from the calls: canonical paths, both formats where both exist, examples."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from tabellion.platform.http import render, shapes, xml_codec
from tabellion.platform.http.call import Call, Form, Parameter
from tabellion.platform.http.paths import LEGACY_V4
from tabellion.platform.http.schemas import Schemas

_JSON, _XML = "application/json", "application/xml"
_INTRODUCTION = """Customer profiles in tables that companies define themselves, over webservices.

Authorise with an API key: `GET /auth/token` answers an access token for `Authorization: Bearer`; the key itself is accepted
there as well. JSON everywhere; the v4 calls also read and answer XML, which is **deprecated**.
Every answer carries the licence's limits (`RateLimit`), every refusal has one shape.
"""
_ERRORS = {
    400: "The request is wrong; `errors` lists what and where.",
    401: "No credentials, or wrong, expired or revoked ones.",
    403: "The API user lacks the right, or may not use this entity.",
    404: "There is no such thing for this licence.",
    406: "The answer cannot be given in a format of `Accept`.",
    409: "The state of the data does not allow it.",
    412: "`If-Match` names another state.",
    413: "The body is too large.",
    415: "The body's format is not read by this call.",
    422: "The Idempotency-Key was used with another query or body.",
    429: "A usage limit is reached; `Retry-After` says when to come back.",
    503: "Temporarily unavailable; `Retry-After` says when to come back.",
}
_ON_EVERY_CALL = (400, 401, 403, 404, 406, 429, 503)
_ON_BODIES = (413, 415)
_LIMIT_HEADERS = ("RateLimit-Policy", "RateLimit", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
_CATEGORIES = {
    "authentication": "Access tokens",
    "entities": "The entities of the licence",
    "profile-table-structure": "What a profile table consists of",
    "profiles": "Profiles, their subscriptions and segmentations",
    "custom-table-structure": "What a custom table consists of",
    "custom-data": "Records of custom tables",
    "scenarios": "Custom actions of scenarios",
    "mass-imports": "Files with many rows, imported by a job",
    "webhooks": "Subscriptions to events, and what could not be delivered",
    "usage": "Usage and limits of the licence",
}


def document(calls: Sequence[Call], *, version: str) -> dict[str, Any]:
    """The whole document."""
    forms = {call.form.document_type for call in calls if call.form is not None and call.form.document_type is not None}
    types = {t for call in calls for t in (call.body, call.answer) if t is not None} | forms | {render.ErrorDocument}
    schemas = Schemas(types)
    paths: dict[str, dict[str, Any]] = {}
    for call in calls:
        paths.setdefault(canonical_path(call), {})[call.method.lower()] = _operation(call, schemas)
    used = dict.fromkeys(call.category for call in calls)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tabellion", "version": version, "description": _INTRODUCTION},
        "servers": [{"url": "."}],  # where the document is: a proxy may take a path off
        "tags": [{"name": name, "description": _CATEGORIES.get(name, name)} for name in used],
        "security": [{"accessToken": []}, {"apiKey": []}, {"basic": []}],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": {str(status): _error_response(schemas, text) for status, text in _ERRORS.items()},
            "headers": {name: {"schema": {"type": "string"}} for name in (*_LIMIT_HEADERS, "ETag", "Location")},
            "securitySchemes": {
                "accessToken": {"type": "http", "scheme": "bearer", "description": "access token, or the API key itself"},
                "apiKey": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "API key, for /auth/token",
                },
                "basic": {"type": "http", "scheme": "basic", "description": "`licence/login` and password"},
            },
        },
    }


def canonical_path(call: Call) -> str:
    """The call's path with its category, or as it stands (token, v1)."""
    if call.version == "v1":
        return LEGACY_V4 + call.path
    if re.match(r"/v[45]/", call.path):
        return f"/{call.category}{call.path}"
    return call.path


def _operation(call: Call, schemas: Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": call.id,
        "tags": [call.category],
        "summary": call.summary,
        "description": "\n\n".join(filter(None, (call.description, _right(call)))),
        "parameters": [_parameter(call, parameter) for parameter in call.parameters],
        "responses": {str(status): _success(call, schemas, status, text) for status, text in call.statuses.items()},
    }
    if call.writes:
        operation["parameters"].append(
            _header("Idempotency-Key", "a key of your own: the call is done once, repetitions get its answer")
        )
    if call.etag:
        name, text = ("If-Match", "only if unchanged") if call.writes else ("If-None-Match", "304 if unchanged")
        operation["parameters"].append(_header(name, f"an ETag: {text}"))
    if call.body is not None:
        operation["requestBody"] = {
            "required": not call.body_optional,
            "content": _content(call, schemas, call.body, call.body_root, call.body_example),
        }
    if call.form is not None:
        operation["requestBody"] = {"required": not call.form.optional, "content": _form(call, schemas, call.form)}
    statuses = [
        *_ON_EVERY_CALL,
        *(_ON_BODIES if call.body or call.form else ()),
        *((422,) if call.writes else ()),
        *((409,) if call.writes or call.conflicts else ()),
        *((412,) if call.etag and call.writes else ()),
    ]
    if call.etag and not call.writes:
        operation["responses"]["304"] = {"description": "Unchanged: the tag is one of `If-None-Match`."}
    for status in sorted(statuses):
        operation["responses"][str(status)] = {"$ref": f"#/components/responses/{status}"}
    if call.version == "v1":
        operation["security"] = []
    return operation


def _right(call: Call) -> str:
    """What the caller needs, as `tabellion user rights` takes it."""
    return f"Needs the right `{call.module}={call.right}`." if call.module else "Any API user may call it."


def _parameter(call: Call, parameter: Parameter) -> dict[str, Any]:
    in_path = "{" + parameter.name + "}" in call.path
    schema: dict[str, Any] = dict(parameter.schema)
    described: dict[str, Any] = {
        "name": parameter.name,
        "in": "path" if in_path else "query",
        "required": in_path
        or (call.version == "v1" and parameter.name in {"licence", "login", "pwd", "table", "id", "key", "value"}),
        "description": parameter.description,
        "schema": schema,
    }
    if parameter.repeatable:
        described["schema"] = {"type": "array", "items": dict(parameter.schema)}
        described["explode"] = True
    if in_path:
        schema["minLength"] = 1
    if parameter.example and in_path:
        described["example"] = parameter.example
    return described


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}


def _content(call: Call, schemas: Schemas, type_: type[msgspec.Struct], root: str, example: Any) -> dict[str, Any]:
    schema = schemas.ref(type_)
    content: dict[str, Any] = {_JSON: {"schema": schema, "example": example}}
    for other in (*call.body_types, *call.json_types) if type_ is call.body else ():
        plain = {"schema": {"type": "string"}, "example": next(iter(example.values()))}
        content[other] = plain if other.startswith("text/") else {"schema": schema, "example": example}
    if root:
        instance = shapes.reader(type_).read(example)[0]
        encode = call.xml_encode or xml_codec.encode
        content[_XML] = {"schema": {**schema, "xml": {"name": root}}, "example": encode(instance, root).decode()}
    return content


def _form(call: Call, schemas: Schemas, form: Form) -> dict[str, Any]:
    file: dict[str, Any] = {"type": "string", "format": "binary"}
    many = bool(form.total_bytes)
    properties: dict[str, Any] = {form.file: {"type": "array", "items": file} if many else file}
    schema = {"type": "object", "required": [form.document if many else form.file], "properties": properties}
    example: dict[str, Any] = {form.file: [form.file_example] if many else form.file_example}
    content: dict[str, Any] = {"schema": schema, "example": example}
    if form.document_type is not None:
        properties[form.document] = schemas.ref(form.document_type)
        content["encoding"] = {form.document: {"contentType": _JSON}}
        example[form.document] = call.body_example
    as_they_are = {kind: {"schema": {"type": "string"}, "example": form.raw_example} for kind in form.raw_types}
    return {"multipart/form-data": content, **as_they_are}


def _success(call: Call, schemas: Schemas, status: int, text: str) -> dict[str, Any]:
    headers: dict[str, Any] = {name: {"$ref": f"#/components/headers/{name}"} for name in _LIMIT_HEADERS}
    if call.tagged or (call.etag and not call.writes):
        headers["ETag"] = {"$ref": "#/components/headers/ETag"}
    if status == 201:  # noqa: PLR2004 - created
        headers["Location"] = {"$ref": "#/components/headers/Location"}
    response: dict[str, Any] = {"description": text, "headers": headers}
    if call.download:
        response["content"] = {call.download: {"schema": {"type": "string", "format": "binary"}}}
    if call.answer is not None:
        response["content"] = _content(call, schemas, call.answer, call.answer_root, call.answer_example)
    return response


def _error_response(schemas: Schemas, text: str) -> dict[str, Any]:
    schema = schemas.ref(render.ErrorDocument)
    content: dict[str, Any] = {
        _JSON: {"schema": schema},
        _XML: {"schema": {**schema, "xml": {"name": "error"}}},
        "application/problem+json": {"schema": {"type": "object"}},
    }
    return {"description": text, "content": content}
