"""`/outbox`: the mails of licences that have no relay, for people who try things out. HTTP Basic, as an API user."""

import email
import email.message
import html
from collections.abc import Awaitable, Callable
from email import policy
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from tabellion.features.delivery import KeptMail, kept_mail, kept_mails
from tabellion.kit.problem import Problem
from tabellion.platform.http.call import Answer, Call, Incoming
from tabellion.platform.http.exchange import Admission, Exchange
from tabellion.platform.http.front import exchange_of
from tabellion.platform.http.paths import to_root
from tabellion.server.pages import AnyRequest, Connection

Admit = Callable[[Exchange, Call], Awaitable[Admission]]
_MODULE = "campaigns"
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'"
# What customers wrote is shown without scripts, forms, and an origin.
_MAIL_POLICY = "sandbox; default-src 'none'; img-src *; style-src 'unsafe-inline'; font-src *; frame-ancestors 'self'"
_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
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
        self, request: AnyRequest, number: int | None, show: Callable[[Any, str], Response[bytes]]
    ) -> Response[bytes]:
        """What is shown of a mail, or of all of them (`number` None); or what keeps us from showing it."""
        exchange = exchange_of(request.scope)
        at = f"{to_root(request.scope['raw_path'])}outbox"
        if "authorization" not in exchange.headers:
            return _refused(401, "Name: licence/login. Password: that of the API user.")
        try:
            admission = exchange.admission = await self._admit(exchange, _LOOK)
            if _MODULE not in admission.caller.rights:
                return _refused(403, f"this API user lacks the read right of the module '{_MODULE}'")
            caller = admission.caller
            entities = [entity.id for entity in caller.entities] if caller.foreign_entities else None
            async with self._connection() as db:
                if number is None:
                    return show(await kept_mails(db, caller.licence_id, _SHOWN, entities), at)
                known = 0 <= number < 1 << 63
                raw = await kept_mail(db, caller.licence_id, number, entities) if known else None
        except Exception as failure:  # noqa: BLE001 - every refusal becomes a page
            problem = self._translate(failure)
            return _refused(problem.status, problem.message)
        return _refused(404, "there is no such mail") if raw is None else show(raw, f"{at}/{number:d}")


def _list(mails: list[KeptMail], at: str) -> Response[bytes]:
    rows = "".join(
        f"<tr><td><time>{mail.moment:%Y-%m-%d %H:%M:%S}</time><td>{html.escape(mail.recipient)}"
        f'<td><a href="{at}/{mail.id:d}">{html.escape(mail.subject) or "(no subject)"}</a>'
        for mail in mails
    )
    heads = '<tr><th scope="col">Sent (UTC)<th scope="col">To<th scope="col">Subject'
    shown = f"<table>{heads}{rows}</table>" if rows else "<p>Nothing has been sent yet."
    more = f" The newest {_SHOWN} are shown." if len(mails) >= _SHOWN else ""
    return _page(
        "Outbox", f"<h1>Outbox</h1><p>Mails of this licence, which has no relay. Nothing has left.{more}</p>{shown}"
    )


def _mail(raw: bytes, at: str) -> Response[bytes]:
    message = email.message_from_bytes(raw, policy=policy.default)
    subject = str(message.get("Subject", "")) or "(no subject)"
    headers = "".join(
        f'<tr><th scope="row">{html.escape(name)}<td>{html.escape(_readable(value))}' for name, value in message.raw_items()
    )
    text = message.get_body(("plain",))
    shown = ""
    if message.get_body(("html",)) is not None:
        frame = f'<iframe sandbox title="The mail as readers see it" src="{at}/html"></iframe>'
        shown = f"<h2>HTML</h2>{frame}"
    plain = html.escape(text.get_content()) if text is not None else ""
    return _page(
        subject,
        f'<p><a href="{at.rpartition("/")[0]}">Outbox</a> · <a href="{at}/source">source</a></p>'
        f"<h1>{html.escape(subject)}</h1><table>{headers}</table>{_attachments(message)}"
        f"{shown}<h2>Text</h2><pre>{plain}</pre>",
    )


def _readable(value: str) -> str:
    """A header as readers see it. The policy's own reading has a blank where a name goes on in another encoded word.

    What looks like one and is none, which an address may have in it, stands as it is.
    """
    try:
        return str(make_header(decode_header(value)))
    except (HeaderParseError, LookupError, UnicodeError):
        return value


def _attachments(message: email.message.EmailMessage) -> str:
    files = [
        f"<li>{html.escape(part.get_filename() or '')} ({html.escape(part.get_content_type())}, "
        f"{len(part.get_payload(decode=True) or b''):,} bytes)"
        for part in message.iter_attachments()
    ]
    return f"<h2>Attachments</h2><ul>{''.join(files)}</ul>" if files else ""


def _html(raw: bytes, _: str) -> Response[bytes]:
    part = email.message_from_bytes(raw, policy=policy.default).get_body(("html",))
    content = part.get_content() if part is not None else ""
    headers = {"Content-Security-Policy": _MAIL_POLICY, **_HEADERS}
    return Response(content.encode(), media_type="text/html", headers=headers)


def _source(raw: bytes, _: str) -> Response[bytes]:
    return Response(raw, media_type="text/plain", headers=_HEADERS)


def _refused(status: int, message: str) -> Response[bytes]:
    response = _page("Outbox", f"<p>{html.escape(message)}</p>", status)
    if status == 401:  # noqa: PLR2004 - unauthorized
        response.headers["WWW-Authenticate"] = 'Basic realm="tabellion", charset="UTF-8"'
    return response


def _page(title: str, content: str, status: int = 200) -> Response[bytes]:
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><main>{content}</main></body></html>"
    )
    headers = {"Content-Security-Policy": _PAGE_POLICY, **_HEADERS}
    return Response(text.encode(), status_code=status, media_type="text/html", headers=headers)


_STYLE = Path(__file__).with_name("outbox.css").read_text().replace("\n", "")
