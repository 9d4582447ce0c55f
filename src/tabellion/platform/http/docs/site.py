"""The pages of the documentation site and the OpenAPI document, as Litestar handlers."""

import asyncio
import gzip
import mimetypes
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from litestar import Request, Response
from litestar.handlers import HTTPRouteHandler

from tabellion import __version__
from tabellion.platform.http import json_codec, openapi
from tabellion.platform.http.call import Call
from tabellion.platform.http.docs import checker
from tabellion.platform.http.front import COMPRESS_FROM_BYTES, COMPRESSIBLE, accepts_gzip
from tabellion.platform.http.paths import to_root

_STATIC = files("tabellion.platform.http.docs") / "static"
# Pages come from this server alone: no scripts, styles or pictures from elsewhere. Swagger UI sets styles in place.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
# Systems refuse even to look whether there is a file whose name is far longer.
_LONGEST_NAME = 100
_MAX_CHECKED_BYTES = 2 * 1024 * 1024
AnyRequest = Request[Any, Any, Any]


def guides_folder() -> Path:
    """The written guides: inside the installed package, or `docs/` of the source tree."""
    packaged = Path(str(files("tabellion"))) / "_docs"
    return packaged if packaged.is_dir() else Path(__file__).parents[5] / "docs"


class Site:
    """Everything under `/docs`, `/openapi.json` and `/problems`, and the way there from `/`."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._calls = {call.id: call for call in calls}
        self._page = Template((_STATIC / "page.html").read_text("utf-8"))
        self._guides = guides_folder()

    @cached_property
    def _document(self) -> bytes:
        return json_codec.encode(openapi.document(list(self._calls.values()), version=__version__))

    def handlers(self) -> list[HTTPRouteHandler]:
        """The routes of the site."""
        get = [
            ("/", self.root),
            ("/docs", self.swagger),
            ("/openapi.json", self.openapi),
            ("/docs/checker", self.checker_page),
            ("/docs/guide/{name:str}", self.guide),
            ("/docs/reference/{name:str}", self.reference),
            ("/docs/operations/{name:str}", self.operations),
            ("/docs/deprecation/xml", self.xml_deprecation),
            ("/docs/static/{path:path}", self.static),
            ("/problems/{code:str}", self.problem),
        ]
        routes = [HTTPRouteHandler(path, http_method="GET", name=path)(handler) for path, handler in get]
        check = HTTPRouteHandler("/docs/check", http_method="POST", name="check", request_max_body_size=None)
        return [*routes, check(self.check)]

    async def root(self, request: AnyRequest) -> Response[bytes]:
        """Where people who try the bare address go on."""
        headers = {"Vary": "Accept"}
        if "text/html" in request.headers.get("accept", ""):
            return Response(
                b"", status_code=302, headers=headers | {"Location": to_root(request.scope["raw_path"]) + "docs"}
            )
        pointer = {"name": "Tabellion", "version": __version__, "documentation": "/docs", "openapi": "/openapi.json"}
        return Response(json_codec.encode(pointer), media_type="application/json", headers=headers)

    async def openapi(self, request: AnyRequest) -> Response[bytes]:
        """The OpenAPI document."""
        # In a thread: whoever asks first keeps nobody else waiting.
        headers = {"Access-Control-Allow-Origin": "*"}
        return await asyncio.to_thread(lambda: _answer(request, self._document, "application/json", headers))

    async def swagger(self, request: AnyRequest) -> Response[bytes]:
        """The interactive documentation."""
        return self._html(request, "API", (_STATIC / "swagger.html").read_text("utf-8"), wide=True)

    async def checker_page(self, request: AnyRequest) -> Response[bytes]:
        """The page where a body is pasted and checked."""
        options = "".join(
            f'<option value="{escape(call.id)}">{escape(f"{call.method} {call.path} · {call.summary}")}</option>'
            for call in checker.calls_with_body(self._calls)
        )
        body = (_STATIC / "checker.html").read_text("utf-8").replace("$options", options)
        return self._html(request, "JSON checker", body)

    async def check(self, request: AnyRequest) -> Response[bytes]:
        """Judge the body that was sent; `?call=` names the call it is meant for."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_CHECKED_BYTES:
                return Response(b'{"ok":false,"tooLarge":true}', media_type="application/json", status_code=413)
        call = self._calls.get(request.query_params.get("call") or "")
        # In a thread: whoever pastes much keeps nobody else waiting.
        verdict = await asyncio.to_thread(lambda: json_codec.encode(checker.check(bytes(body), call)))
        return Response(verdict, media_type="application/json", status_code=200)

    async def guide(self, request: AnyRequest) -> Response[bytes]:
        """A written guide."""
        return self._markdown(request, "guide", request.path_params["name"])

    async def reference(self, request: AnyRequest) -> Response[bytes]:
        """A page of the reference."""
        return self._markdown(request, "reference", request.path_params["name"])

    async def operations(self, request: AnyRequest) -> Response[bytes]:
        """A page for operators."""
        return self._markdown(request, "operations", request.path_params["name"])

    async def xml_deprecation(self, request: AnyRequest) -> Response[bytes]:
        """What the deprecation of XML means; XML answers link here."""
        return self._markdown(request, "reference", "xml")

    async def problem(self, request: AnyRequest) -> Response[bytes]:
        """The page behind the `type` of a problem document."""
        return self._markdown(request, "reference", "errors")

    async def static(self, request: AnyRequest) -> Response[bytes]:
        """Scripts and styles that come with the package."""
        name = str(request.path_params["path"]).lstrip("/")
        source = _STATIC
        for part in name.split("/"):
            if part in {"", ".", ".."} or "\\" in part or len(part) > _LONGEST_NAME:
                return self._not_found(request)
            source /= part
        if not source.is_file() or name.endswith(".html"):
            return self._not_found(request)
        media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        headers = {"Cache-Control": "public, max-age=3600", **_HEADERS}
        return await asyncio.to_thread(lambda: _answer(request, source.read_bytes(), media_type, headers))

    def _markdown(self, request: AnyRequest, folder: str, name: str) -> Response[bytes]:
        name = name.removesuffix(".md")
        source = self._guides / folder / f"{name}.md"
        if not name.replace("-", "").isalnum() or len(name) > _LONGEST_NAME or not source.is_file():
            return self._not_found(request)
        from markdown_it import MarkdownIt  # noqa: PLC0415 - for readers of guides alone

        text = source.read_text("utf-8")
        title = text.partition("\n")[0].lstrip("# ")
        body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
        return self._html(request, title, f"<article>{body}</article>")

    def _not_found(self, request: AnyRequest) -> Response[bytes]:
        body = '<article><h1>No such page</h1><p>Go to the <a href="${root}docs">API documentation</a>.</p></article>'
        return self._html(request, "No such page", body, status=404)

    def _html(self, request: AnyRequest, title: str, body: str, *, status: int = 200, wide: bool = False) -> Response[bytes]:
        kind = "wide" if wide else ""
        text = self._page.substitute(title=escape(title), body=body, version=__version__, kind=kind, root="${root}")
        text = text.replace("${root}", to_root(request.scope["raw_path"]))
        return _answer(request, text.encode(), "text/html", _HEADERS, status=status)


def _answer(
    request: AnyRequest, body: bytes, media_type: str, headers: Mapping[str, str], *, status: int = 200
) -> Response[bytes]:
    """An answer, compressed for whoever takes that; Litestar says of texts that they are in UTF-8."""
    headers = {**headers, "Vary": "Accept-Encoding"}
    worth_it = len(body) >= COMPRESS_FROM_BYTES and media_type.startswith(COMPRESSIBLE)
    if worth_it and accepts_gzip(request.headers.get("accept-encoding", "")):
        body = _compressed(body)
        headers["Content-Encoding"] = "gzip"
    return Response(body, media_type=media_type, status_code=status, headers=headers)


@lru_cache(maxsize=64)
def _compressed(body: bytes) -> bytes:
    """Kept, for anybody may ask again and again, and Swagger UI takes a tenth of a second."""
    return gzip.compress(body, 5, mtime=0)
