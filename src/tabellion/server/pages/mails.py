"""`/t/...`: what mails lead to. For readers, without credentials; the token in the address is the authority."""

import logging
from collections.abc import Callable
from datetime import datetime
from urllib.parse import parse_qs

from litestar import HttpMethod, Response
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.handlers import HTTPRouteHandler
from litestar.types import ExceptionHandlersMap

from tabellion.features import tracking
from tabellion.features.delivery import Forgotten, for_header, view
from tabellion.features.tracking import Choice
from tabellion.platform.http.front import exchange_of
from tabellion.platform.templates import Cages
from tabellion.server.pages import AnyRequest, Connection, readers

_log = logging.getLogger(__name__)
# The smallest picture: one transparent point.
_PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}
_MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; "
    "default-src 'none'; img-src *; style-src 'unsafe-inline'; font-src *"
)
_MAX_TOKEN = 200
_MAX_FORM_BYTES, _MAX_FIELDS = 32_768, 1000
# What browsers say of what they fetch before anybody has asked for it; the others said so before the first was agreed on.
_AHEAD = ("sec-purpose", "purpose", "x-purpose", "x-moz")
# Machines ask by HEAD, too; it says of whom the event is.
_LOOKS = [HttpMethod.GET, HttpMethod.HEAD]


def _not_kept(request: AnyRequest, error: Exception) -> Response[bytes]:
    return _plain("This mail is gone", "What stood in it is not kept any more.", 410)


def _erased(request: AnyRequest, error: Exception) -> Response[bytes]:
    told = "The sender has erased whom this mail went to. There is nothing left to unsubscribe from."
    return _plain("Nothing is kept of this mail", told, 200)


_NOT_KEPT: ExceptionHandlersMap = {Forgotten: _not_kept}
_ERASED: ExceptionHandlersMap = {Forgotten: _erased}


def handlers(connection: Connection, cages: Cages, clock: Callable[[], datetime]) -> list[HTTPRouteHandler]:
    """The routes."""
    pages = _Pages(connection, cages, clock)
    return [
        HTTPRouteHandler("/t/o/{token:str}", http_method=_LOOKS, name="mail-opened")(pages.opened),
        HTTPRouteHandler("/t/c/{token:str}/{sealed:str}", http_method=_LOOKS, name="mail-clicked")(pages.clicked),
        HTTPRouteHandler("/t/x/{token:str}", http_method=_LOOKS, name="mail-trapped")(pages.trapped),
        HTTPRouteHandler("/t/v/{token:str}", http_method=_LOOKS, name="mail-online", exception_handlers=_NOT_KEPT)(
            pages.online
        ),
        HTTPRouteHandler("/t/u/{token:str}", http_method=_LOOKS, name="mail-ask", exception_handlers=_ERASED)(pages.ask),
        _form("/t/u/{token:str}", "mail-unsubscribe")(pages.unsubscribe),
        HTTPRouteHandler("/t/p/{token:str}", http_method=_LOOKS, name="mail-preferences", exception_handlers=_ERASED)(
            pages.preferences
        ),
        _form("/t/p/{token:str}", "mail-choose")(pages.choose),
    ]


def _form(path: str, name: str) -> HTTPRouteHandler:
    """A route that takes what readers choose, from whoever asks: as much as a form can have."""
    return HTTPRouteHandler(
        path, http_method="POST", name=name, status_code=200, request_max_body_size=_MAX_FORM_BYTES,
        exception_handlers=_ERASED,
    )  # fmt: skip


class _Pages:
    def __init__(self, connection: Connection, cages: Cages, clock: Callable[[], datetime]) -> None:
        self._connection, self._cages, self._clock = connection, cages, clock

    async def opened(self, request: AnyRequest, token: str) -> Response[bytes]:
        """The picture in a mail. It is given in any case: what cannot be noted is nobody's trouble who reads a mail."""
        text = token.removesuffix(".gif")
        if len(text) <= _MAX_TOKEN and not _is_ahead(request):
            try:
                async with self._connection() as db:
                    await tracking.opened(db, text, _asked(request), self._clock())
            except Exception as error:  # noqa: BLE001 - the reader gets the picture all the same
                _log.warning("an opening was not noted: %s", type(error).__name__)
        return Response(_PIXEL, media_type="image/gif", headers=_HEADERS)

    async def clicked(self, request: AnyRequest, token: str, sealed: str) -> Response[bytes]:
        """A link in a mail: on to where its author wanted, and nowhere else."""
        url = tracking.target_of(token, sealed) if len(token) <= _MAX_TOKEN else None
        if url is None:
            return _not_found()
        if _is_ahead(request):
            # Given what it wants, a browser would not ask again when somebody follows the link.
            return _plain("Not yet", "Follow the link to get there.", 503)
        try:
            async with self._connection() as db:
                await tracking.clicked(db, token, url, _asked(request), self._clock())
        except Exception as error:  # noqa: BLE001 - the reader gets where they wanted all the same
            _log.warning("a click was not noted: %s", type(error).__name__)
        return Response(b"", status_code=302, media_type="text/html", headers=_HEADERS | {"Location": for_header(url)})

    async def trapped(self, request: AnyRequest, token: str) -> Response[bytes]:
        """The link that people do not see. Whatever comes of it, the answer is the same."""
        if len(token) <= _MAX_TOKEN and not _is_ahead(request):
            try:
                async with self._connection() as db:
                    await tracking.trapped(db, token, _asked(request), self._clock())
            except Exception as error:  # noqa: BLE001 - nobody waits for more
                _log.warning("a scanner was not noted: %s", type(error).__name__)
        return _plain("Nothing to see", "This page is empty.", 200)

    async def online(self, request: AnyRequest, token: str) -> Response[bytes]:
        """The mail as a page; what its author wrote gets no origin and runs nothing."""
        async with self._connection() as db:
            found = await view(db, self._cages, token, self._clock()) if len(token) <= _MAX_TOKEN else None
        headers = _HEADERS | {"Content-Security-Policy": _MAIL_POLICY}
        return _not_found() if found is None else Response(found.encode(), media_type="text/html", headers=headers)

    async def ask(self, request: AnyRequest, token: str) -> Response[bytes]:
        """The unsubscribe page. Looking at it takes nobody out: machines look at every link."""
        async with self._connection() as db:
            page = await tracking.unsubscribe_page(db, token, self._clock()) if len(token) <= _MAX_TOKEN else None
        return _not_found() if page is None else _reader_page(readers.unsubscribe(page))

    async def unsubscribe(self, request: AnyRequest, token: str) -> Response[bytes]:
        """The button of the page, and of mail programs (RFC 8058: a POST without cookies)."""
        one_click = await _is_one_click(request)
        async with self._connection() as db:
            page = None
            if len(token) <= _MAX_TOKEN:
                page = await tracking.unsubscribe(db, token, self._clock(), one_click=one_click)
        return _not_found() if page is None else _reader_page(readers.unsubscribe(page))

    async def preferences(self, request: AnyRequest, token: str) -> Response[bytes]:
        """The page on which readers choose what they get. Looking at it changes nothing of that."""
        async with self._connection() as db:
            page = await tracking.preferences_page(db, token, self._clock()) if len(token) <= _MAX_TOKEN else None
        return _not_found() if page is None else _reader_page(readers.preferences(page))

    async def choose(self, request: AnyRequest, token: str) -> Response[bytes]:
        """What a reader has chosen."""
        try:
            choice = _choice(await request.body())
        except RequestEntityTooLarge:
            return _plain("This cannot be saved", "This is more than the page sends.", 413)
        if choice is None:
            return _plain("This cannot be saved", "This is not what the page sends.", 400)
        async with self._connection() as db:
            page = await tracking.choose(db, token, choice, self._clock()) if len(token) <= _MAX_TOKEN else None
        return _not_found() if page is None else _reader_page(readers.preferences(page))


def _asked(request: AnyRequest) -> tracking.Asked:
    # The front makes a GET of a HEAD, for the routes; who asks by HEAD is no reader.
    return tracking.Asked(exchange_of(request.scope).method, request.headers.get("user-agent", ""))


def _is_ahead(request: AnyRequest) -> bool:
    """Whether a browser fetches something in advance: nobody has looked at it, and it tells nothing of who will."""
    return any("prefetch" in request.headers.get(name, "").lower() for name in _AHEAD)


async def _is_one_click(request: AnyRequest) -> bool:
    """Whether a mail program asks; as a form of either kind. Our own page sends nothing with its button."""
    try:
        body = await request.body()
    except RequestEntityTooLarge:
        return False
    return b"List-Unsubscribe" in body and b"One-Click" in body


def _choice(body: bytes) -> Choice | None:
    """What the form says; None: it is no form of ours."""
    try:
        form = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
        shown, wanted = (frozenset(int(each) for each in form.get(name, [])) for name in ("shown", "want"))
    except ValueError:
        return None
    return Choice(shown, wanted, stop="stop" in form)


def _reader_page(text: str) -> Response[bytes]:
    return Response(text.encode(), media_type="text/html", headers=_HEADERS | {"Content-Security-Policy": readers.POLICY})


def _not_found() -> Response[bytes]:
    return _plain("This link leads nowhere", "The address may be incomplete, or too old.", 404)


def _plain(title: str, text: str, status: int) -> Response[bytes]:
    headers = _HEADERS | {"Content-Security-Policy": readers.POLICY}
    page = readers.notice(title, text)
    return Response(page.encode(), status_code=status, media_type="text/html", headers=headers)
