"""From a mail that came to a return path to what it means: reports by their standards first, then by experience.

RFC 3464 and 5965 say how reports look; a third of the servers write something of their own. flufl.bounce finds whose
address a bounce is about, which a signed return path says better, and does not tell why it bounced.
"""

import re

from tabellion.features.bounces.model import Finding, Kind, one_line
from tabellion.features.bounces.reading import answers
from tabellion.features.bounces.reading.message import Opened, Part, fields_of, opened
from tabellion.platform.mail.refusals import MOST_WORDS, judge, shown
from tabellion.platform.mail.refusals.status import code_of

_REPORT, _FEEDBACK, _RECEIPT = "message/delivery-status", "message/feedback-report", "message/disposition-notification"
_RETURNED = frozenset({"message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "message/global"})
# Feedback that is no complaint of a reader (RFC 5965, 6591).
_NO_COMPLAINT = ("not-spam", "auth-failure", "dkim", "dmarc", "spf")
_UNDONE = {"delivered", "relayed", "expanded"}
# From here on a text is the mail that was returned.
_COPY = re.compile(
    r"^(?:[ \t>*=_\-#+|]{0,80}(?:(?:the )?original(?: message| mail|nachricht)?(?: follows| headers?| text)?|"
    r"below this line|(?:this is|here is) a copy|a copy of (?:the|your)|(?:un)?sent message|returned (?:message|"
    r"mail)|message (?:headers?|text|contents?|body)|(?:your|the) (?:original )?message (?:follows|is (?:attached|"
    r"included|reproduced))|start of (?:returned|message)|included is a copy|ursprüngliche (?:nachricht|mail)|"
    r"message (?:original|d'origine)|mensaje original|messaggio originale|oorspronkelijk bericht|headers? (?:of|"
    r"from) |first \d+ lines|content of)\b|(?:Received|Return-Path|DKIM-Signature|Message-ID|X-Mailer): )",
    re.IGNORECASE | re.MULTILINE,
)
_LEAST = 40
_REFUSED = re.compile(r"reject|refuse", re.IGNORECASE)


def read(raw: bytes, envelope_sender: str | None = None) -> Finding:
    """What a mail means. Never raises, whatever it is. `envelope_sender` empty: the null sender; None: unknown."""
    mail = opened(raw)
    return (
        _complaint(mail)
        or _receipt(mail)
        or _report(mail)
        or _answer(mail)
        or _told_in_words(mail, envelope_sender)
        or Finding(Kind.OTHER, text=one_line(mail.header("subject")))
    )


def read_reply(text: str) -> Finding:
    """What the words of one failure mean: of a reply to SMTP, of a provider's notice."""
    return _judged(text, "", "")


# --- reports --------------------------------------------------------------------------------------------------------


def _complaint(mail: Opened) -> Finding | None:
    found = [part for part in mail.parts if part.kind == _FEEDBACK]
    if not found and mail.report == "feedback-report":
        found = [part for part in mail.parts if "feedback-type:" in part.text.lower()]
    for part in found:
        fields: dict[str, str] = {}
        for group in part.fields or fields_of(part.text):
            fields = group | fields
        kind = fields.get("feedback-type", "abuse").lower()
        if kind.startswith(_NO_COMPLAINT):
            return Finding(Kind.OTHER, text=one_line(f"feedback: {kind}"))
        who = fields.get("user-agent") or fields.get("reporting-mta") or mail.header("from")
        return Finding(Kind.COMPLAINT, text=one_line(f"{kind}, told by {who}"))
    # What Outlook.com sends is older than the standard.
    if mail.header("subject").lower().startswith("complaint about message from"):
        return Finding(Kind.COMPLAINT, text=one_line(f"abuse, told by {mail.header('from')}"))
    returned = [part for part in mail.parts if part.kind in _RETURNED]
    if any("x-hmxmroriginalrecipient:" in part.text[:4_000].lower() for part in returned):
        return Finding(Kind.COMPLAINT, text=one_line(f"abuse, told by {mail.header('from')}"))
    return None


def _receipt(mail: Opened) -> Finding | None:
    receipts = [part.text.lower() for part in mail.parts if part.kind == _RECEIPT]
    if not receipts and mail.report != "disposition-notification":
        return None
    words = _words(mail)
    # Mail stores that have no other way refuse mails with a receipt that says "deleted".
    if any("; deleted" in text for text in receipts) and _REFUSED.search(f"{mail.header('subject')} {words}"):
        return _judged(words, "", "")
    return Finding(Kind.ANSWER, text="receipt")


def _report(mail: Opened) -> Finding | None:
    groups = [group for part in mail.parts if part.kind == _REPORT for group in part.fields]
    if not groups and mail.report == "delivery-status":
        # Labelled as something else.
        groups = [group for part in mail.parts for group in fields_of(part.text) if "action" in group and "status" in group]
    words = _words(mail)
    best: Finding | None = None
    for group in groups:
        found = _of_recipient(group, mail, words)
        if found is not None and (best is None or _WORSE[found.kind] > _WORSE[best.kind]):
            best = found
    return best


_WORSE = {kind: place for place, kind in enumerate((Kind.OTHER, Kind.DELAYED, Kind.SOFT, Kind.BLOCK, Kind.HARD))}


def _of_recipient(group: dict[str, str], mail: Opened, words: str) -> Finding | None:
    action, status = group.get("action", "").lower().split(" ")[0].strip(";()"), group.get("status", "")
    if not action and not status:
        return None
    named = code_of(status)
    code = "" if named is None else shown(named)
    diagnostic = group.get("diagnostic-code", "") or group.get("x-display-diagnostic", "")
    if diagnostic.lower().startswith(("smtp;", "x-unix;", "x-postfix;", "x400;", "unknown;", "x-notes;")):
        diagnostic = diagnostic.partition(";")[2].strip()
    if action in _UNDONE:
        return Finding(Kind.OTHER, code, action)
    delayed = action.startswith("delay") or (not action.startswith("fail") and status.startswith("4"))
    if delayed and (action or answers.is_delay(mail, words)):
        return Finding(Kind.DELAYED, code, one_line(diagnostic))
    # Some write the reason behind the status, some to people only.
    return _judged(diagnostic or (status if "(" in status else words), status, words)


# --- words ----------------------------------------------------------------------------------------------------------


def _answer(mail: Opened) -> Finding | None:
    kind = answers.answer_in(mail, _words(mail))
    return None if kind is None else Finding(kind, text=one_line(mail.header("subject")))


def _told_in_words(mail: Opened, envelope_sender: str | None) -> Finding | None:
    words = _words(mail)
    if not answers.is_of_daemon(mail, envelope_sender):
        return None
    if answers.is_delay(mail, words):
        return Finding(Kind.DELAYED, text=one_line(words))
    return _judged(f"{mail.header('subject')}\n{words}", "", "")


def _words(mail: Opened) -> str:
    """What the server says to people, without the mail that it returns."""
    texts: list[str] = []
    for part in mail.parts:
        if part.kind in _RETURNED:
            break
        if part.kind == "text/plain" or (part.kind.startswith("text/") and not texts):
            texts.append(_before_copy(part))
    return "\n".join(texts)[: 2 * MOST_WORDS]


def _before_copy(part: Part) -> str:
    for found in _COPY.finditer(part.text):
        if len(part.text[: found.start()].strip()) >= _LEAST:
            return part.text[: found.start()]
    return part.text


def _judged(diagnostic: str, status: str, words: str) -> Finding:
    found = judge(diagnostic, status, words)
    return Finding(Kind(found.refusal), found.status, one_line(diagnostic[:MOST_WORDS] or words))
