"""From a recipient to the bytes of a mail: rendered in a cage, links put in, signed."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from tabellion.features.delivery import tokens
from tabellion.features.delivery.addresses import with_parameters
from tabellion.features.delivery.model import Claimed, Document, Message, Sending
from tabellion.features.delivery.tokens import Token, Use
from tabellion.platform.mail import Attachment, Mail, Signer, Unsendable, address_of, compose, formless
from tabellion.platform.templates import Cages, Failed, Part, PartKind, Template, fill_links, fill_text_links

UNSUBSCRIBE, ONLINE, OPEN, TRAP = "unsubscribeUrl", "onlineUrl", "openUrl", "trapUrl"
PREFERENCES = "preferencesUrl"
# What a message names these addresses by, and what comes behind them.
_NAMED = {
    UNSUBSCRIBE: (Use.UNSUBSCRIBE, ""), ONLINE: (Use.ONLINE, ""), PREFERENCES: (Use.PREFERENCES, ""),
    OPEN: (Use.OPEN, ".gif"), TRAP: (Use.TRAP, ""),
}  # fmt: skip
_TRACKED = ("http://", "https://")
_NONE: Mapping[int, tuple[Attachment, ...]] = {}


class Ready(NamedTuple):
    """A mail that can leave. `sender` is the address it comes back to."""

    claimed: Claimed
    sender: str
    recipient: str
    subject: str
    raw: bytes


class Hopeless(NamedTuple):
    """A recipient for whom no mail could be made, and why."""

    claimed: Claimed
    reason: str


class Composer:
    """Makes the mails of one sending. `signer` None: unsigned. `bounce_domain` empty: they come back to the sender."""

    def __init__(self, sending: Sending, cages: Cages, signer: Signer | None, bounce_domain: str = "") -> None:
        self._sending, self._cages, self._signer = sending, cages, signer
        self._bounce_domain = bounce_domain
        document = sending.document
        self._domain = document.sender_address.rpartition("@")[2]
        sources = [source for each in document.messages.values() for source in (each.subject, each.html, each.text)]
        self._named = {
            name: each for name, each in _NAMED.items() if name in document.uses or any(name in source for source in sources)
        }
        self._templates = {
            key: _template(message, key.partition("/")[0], document.time_zone) for key, message in document.messages.items()
        }

    def come_from(self, signer: Signer | None, bounce_domain: str) -> None:
        """Sign by another key from now on, and come back to another domain."""
        self._signer, self._bounce_domain = signer, bounce_domain

    async def mails(
        self, claimed: Sequence[Claimed], contexts: Sequence[Mapping[str, Any]], now: datetime,
        attachments: Mapping[int, tuple[Attachment, ...]] = _NONE,
    ) -> list[Ready | Hopeless]:  # fmt: skip
        """The mails of recipients; each is ready or hopeless. `attachments` by recipient. Raises `CageUnavailable`."""
        by_language: dict[str, list[tuple[Claimed, Mapping[str, Any]]]] = {}
        for each, context in zip(claimed, contexts, strict=True):
            by_language.setdefault(self._language(each), []).append((each, context))
        made: list[Ready | Hopeless] = []
        for language, pairs in by_language.items():
            given = [{**context, **self._addresses(each)} for each, context in pairs]
            outcomes = await self._cages.render(self._templates[language], given, now=now)
            for (each, _), outcome in zip(pairs, outcomes, strict=True):
                # A mail takes a millisecond of this process: those that are on their way go on in between.
                await asyncio.sleep(0)
                if isinstance(outcome, Failed):
                    made.append(Hopeless(each, f"{outcome.part}: {outcome.message}"[:300]))
                    continue
                try:
                    made.append(self._mail(each, *outcome.parts, now=now, attachments=attachments.get(each.id, ())))
                except Unsendable as error:
                    made.append(Hopeless(each, str(error)[:300]))
        return made

    def _language(self, claimed: Claimed) -> str:
        messages = self._sending.document.messages
        for key in (claimed.language, claimed.language.partition("/")[0]):
            if key in messages:
                return key
        return next(iter(messages))

    def _addresses(self, claimed: Claimed) -> dict[str, str]:
        return {name: f"{self._address(use, claimed)}{ending}" for name, (use, ending) in self._named.items()}

    def _address(self, use: Use, claimed: Claimed, link: int = 0) -> str:
        return _page(self._sending.document, use, self._sending.licence_id, claimed.id, link)

    def _mail(
        self, claimed: Claimed, subject: bytes, html: bytes, text: bytes, *, now: datetime,
        attachments: tuple[Attachment, ...],
    ) -> Ready:  # fmt: skip
        sending, document = self._sending, self._sending.document
        recipient = address_of(claimed.address)
        if recipient is None:
            raise Unsendable(formless(claimed.address))

        def tracked(index: int, address: str) -> str:
            return counted_address(document, sending.licence_id, claimed.id, index, address)

        def led(_: int, address: str) -> str:
            return with_parameters(address, document.goals)

        line = subject.decode().strip()
        if document.test:
            line = f"[TEST] {line}"
        mail = Mail(
            sender=document.sender_address,
            sender_name=document.sender_name,
            recipient=recipient,
            reply_to=document.reply_to,
            subject=line,
            html=fill_links(html, document.mark, tracked),
            # Beside HTML a text stays readable; by itself it is all that can tell what its readers look at.
            text=fill_text_links(text, document.mark, led if html else tracked),
            charset=document.charset,
            date=now,
            # The same for each attempt, so that receivers notice a mail that comes twice.
            message_id=f"{sending.licence_id:d}.{sending.id:d}.{claimed.id:d}@{self._domain}",
            extra=self._extra(claimed),
            attachments=attachments,
        )
        raw = compose(mail)
        back = document.sender_address
        if self._bounce_domain:
            back = tokens.return_path(sending.licence_id, claimed.id, self._bounce_domain)
        return Ready(claimed, back, recipient, line, self._signer.sign(raw) if self._signer else raw)

    def _extra(self, claimed: Claimed) -> tuple[tuple[str, str], ...]:
        sending = self._sending
        headers = [("Feedback-ID", f"{sending.campaign_id:d}:{sending.licence_id:d}:tabellion")]
        if not sending.document.transactional:
            headers += [
                ("List-Id", f"<{sending.campaign_id:d}.{sending.licence_id:d}.{self._domain}>"),
                ("List-Unsubscribe", self._leaving(claimed)),
                ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ]
        return tuple(headers)

    def _leaving(self, claimed: Claimed) -> str:
        """By a click first (RFC 8058); by a mail, where mails come in."""
        page = f"<{self._address(Use.UNSUBSCRIBE, claimed)}>"
        if not self._bounce_domain:
            return page
        address = tokens.leaving_address(self._sending.licence_id, claimed.id, self._bounce_domain)
        return f"{page}, <mailto:{address}?subject=unsubscribe>"


def bytes_as_sent(document: Document, licence_id: int, html: bytes) -> int:
    """How long rendered HTML is with the addresses that its links have in a mail."""
    return len(
        fill_links(html, document.mark, lambda index, address: counted_address(document, licence_id, 0, index, address))
    )


def counted_address(document: Document, licence_id: int, recipient_id: int, index: int, address: str) -> str:
    """Where a link of a mail leads: through the server, if it leads away and is not too long for that."""
    if not address[:8].lower().startswith(_TRACKED) or address.startswith(f"{document.tracking}/t/"):
        return address
    led = with_parameters(address, document.goals)
    sealed = tokens.seal_address(licence_id, recipient_id, led)
    if len(sealed) > tokens.MAX_SEALED:
        return led
    return f"{_page(document, Use.CLICK, licence_id, recipient_id, index)}/{sealed}"


def _page(document: Document, use: Use, licence_id: int, recipient_id: int, link: int) -> str:
    return f"{document.tracking}/t/{use.value}/{tokens.write(Token(use, licence_id, recipient_id, link))}"


def _template(message: Message, language: str, time_zone: str) -> Template:
    parts = (
        Part("subject", PartKind.LINE, message.subject),
        Part("html", PartKind.HTML, message.html),
        Part("text", PartKind.TEXT, message.text),
    )
    return Template(parts, language or "en", time_zone)
