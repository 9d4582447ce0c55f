"""`/outbox`: the mails of licences that have no relay, for people who try things out. HTTP Basic, as an API user."""

import email
import html
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from email import policy
from typing import Any

from litestar import Request, Response
from litestar.handlers import HTTPRouteHandler

from tabellion.features.delivery import KeptMail, kept_mail, kept_mails
from tabellion.kit.problem import Problem
from tabellion.platform.http.call import Answer, Call, Incoming
from tabellion.platform.http.exchange import Admission, Exchange
from tabellion.platform.http.front import SCOPE_KEY

Connection = Callable[[], AbstractAsyncContextManager[Any]]
Admit = Callable[[Exchange, Call], Awaitable[Admission]]
AnyRequest = Request[Any, Any, Any]
_MODULE = "campaigns"
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'"
# What customers wrote is shown without scripts, forms, and an origin.
_MAIL_POLICY = "sandbox; default-src 'none'; img-src *; style-src 'unsafe-inline'; font-src *; frame-ancestors 'self'"
_SHOWN = 200


async def _nothing(call: Incoming) -> Answer:
    return Answer(204)


# What the gate is told of a look into the outbox; it does not count.
_LOOK = Call(
    id="outbox", method="GET", path="/outbox", category="", module=_MODULE, summary="", handler=_nothing,
    statuses={200: ""}, counted=False,
)  # fmt: skip


class Outbox:
    """The pages. `admit` puts a request to the gate, `translate` makes refusals of exceptions."""

    def __init__(self, connection: Connection, admit: Admit, translate: Callable[[BaseException], Problem]) -> None:
        self._connection, self._admit, self._translate = connection, admit, translate

    def handlers(self) -> list[HTTPRouteHandler]:
        """The routes."""

        async def listed(request: AnyRequest) -> Response[bytes]:
            """The mails, newest first."""
            return await self._answer(request, None, _list)

        async def one(request: AnyRequest, number: int) -> Response[bytes]:
            """A mail: headers, what readers see."""
            return await self._answer(request, number, _mail)

        async def rendered(request: AnyRequest, number: int) -> Response[bytes]:
            """The HTML part alone."""
            return await self._answer(request, number, _html)

        async def source(request: AnyRequest, number: int) -> Response[bytes]:
            """The mail as it would have left."""
            return await self._answer(request, number, _source)

        return [
            HTTPRouteHandler("/outbox", http_method="GET", name="outbox")(listed),
            HTTPRouteHandler("/outbox/{number:int}", http_method="GET", name="outbox-mail")(one),
            HTTPRouteHandler("/outbox/{number:int}/html", http_method="GET", name="outbox-html")(rendered),
            HTTPRouteHandler("/outbox/{number:int}/source", http_method="GET", name="outbox-source")(source),
        ]

    async def _answer(
        self, request: AnyRequest, number: int | None, show: Callable[[Any, int], Response[bytes]]
    ) -> Response[bytes]:
        """What is shown of a mail, or of all of them (`number` None); or what keeps us from showing it."""
        exchange: Exchange = request.scope[SCOPE_KEY]  # type: ignore[typeddict-item]
        if "authorization" not in exchange.headers:
            return _refused(401, "Name: licence/login. Password: that of the API user.")
        try:
            admission = exchange.admission = await self._admit(exchange, _LOOK)
            if _MODULE not in admission.caller.rights:
                return _refused(403, f"this API user lacks the read right of the module '{_MODULE}'")
            async with self._connection() as db:
                if number is None:
                    return show(await kept_mails(db, admission.caller.licence_id, _SHOWN), 0)
                known = 0 <= number < 1 << 63
                raw = await kept_mail(db, admission.caller.licence_id, number) if known else None
        except Exception as failure:  # noqa: BLE001 - every refusal becomes a page
            problem = self._translate(failure)
            return _refused(problem.status, problem.message)
        return _refused(404, "there is no such mail") if raw is None else show(raw, number)


def _list(mails: list[KeptMail], _: int) -> Response[bytes]:
    rows = "".join(
        f'<tr><td>{mail.moment:%Y-%m-%d %H:%M:%S}<td>{html.escape(mail.recipient)}<td><a href="/outbox/{mail.id:d}">'
        f"{html.escape(mail.subject) or '(no subject)'}</a>"
        for mail in mails
    )
    shown = f"<table><tr><th>sent (UTC)<th>to<th>subject{rows}</table>" if rows else "<p>Nothing has been sent yet."
    return _page("Outbox", f"<h1>Outbox</h1><p>Mails of this licence, which has no relay. Nothing has left.</p>{shown}")


def _mail(raw: bytes, number: int) -> Response[bytes]:
    message = email.message_from_bytes(raw, policy=policy.default)
    headers = "".join(f"<tr><th>{html.escape(name)}<td>{html.escape(str(value))}" for name, value in message.items())
    text = message.get_body(("plain",))
    plain = html.escape(text.get_content()) if text is not None else ""
    return _page(
        str(message.get("Subject", "")),
        f'<p><a href="/outbox">Outbox</a> · <a href="/outbox/{number:d}/source">source</a></p><table>{headers}</table>'
        f'<h2>HTML</h2><iframe sandbox src="/outbox/{number:d}/html"></iframe><h2>Text</h2><pre>{plain}</pre>',
    )


def _html(raw: bytes, _: int) -> Response[bytes]:
    part = email.message_from_bytes(raw, policy=policy.default).get_body(("html",))
    content = part.get_content() if part is not None else ""
    headers = {"Content-Security-Policy": _MAIL_POLICY, "X-Content-Type-Options": "nosniff"}
    return Response(content.encode(), media_type="text/html", headers=headers)


def _source(raw: bytes, _: int) -> Response[bytes]:
    return Response(raw, media_type="text/plain", headers={"X-Content-Type-Options": "nosniff"})


def _refused(status: int, message: str) -> Response[bytes]:
    response = _page("Outbox", f"<p>{html.escape(message)}</p>", status)
    if status == 401:  # noqa: PLR2004 - unauthorized
        response.headers["WWW-Authenticate"] = 'Basic realm="tabellion", charset="UTF-8"'
    return response


def _page(title: str, content: str, status: int = 200) -> Response[bytes]:
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>{content}</body></html>"
    )
    headers = {"Content-Security-Policy": _PAGE_POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    return Response(text.encode(), status_code=status, media_type="text/html", headers=headers)


_STYLE = (
    "body{font:.95rem/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;"
    "border-bottom:1px solid #ddd;overflow-wrap:anywhere}th{white-space:nowrap}iframe{width:100%;height:32rem;"
    "border:1px solid #ccc;background:#fff}pre{white-space:pre-wrap;background:#f4f4f2;padding:1rem}"
)
