"""Mails that machines write in answer to a mail, and that are no bounces: absence notes, receipts, challenges."""

import re

from tabellion.features.bounces.model import Kind
from tabellion.features.bounces.reading.message import Opened
from tabellion.platform.mail.refusals import phrases

_ANSWER_HEADERS = ("x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-reply", "x-vacation", "x-mail-autoreply")
_ANSWER_SUBJECT = re.compile(
    r"^\W*(?:auto(?:matic)?\W?(?:reply|response|answer)|autoreply|auto:|out of (?:the )?office|ooo\b|away from|"
    r"on vacation|vacation|automatische? (?:antwort|antwoord|e-?mail|reactie)|automatisch antwoord|abwesen|abwezig|"
    r"afwezig|nicht im büro|r[ée]ponse automatique|message automatique|absen(?:t|ce)|en congé|hors du bureau|"
    r"respuesta automática|fuera de (?:la )?oficina|ausen|risposta automatica|fuori (?:sede|ufficio)|assen|"
    r"resposta automática|autosvar|automaattinen|автоответ|自動返信|thank you for (?:your|contacting)|"
    r"we have received your|ticket|case|(?:re|aw|sv|antw|fw|tr)\W+.*(?:out of (?:the )?office|abwesen|absen[ct]|"
    r"afwezig|vacation|automatic reply|auto-?reply))|\b(?:out of (?:the )?office|abwesenheits(?:notiz|meldung|"
    r"assistent)|afwezigheids|absence du bureau)\b",
    re.IGNORECASE,
)
_CHALLENGE = re.compile(
    r"spam ?arrest|boxbe|sender verification|verify (?:your|you're|that you)|please (?:verify|confirm) (?:your|that|"
    r"you)|confirm (?:your message|your email|you are|delivery|that you)|challenge[- ]response|captcha|(?:one-time|"
    r"sender) (?:authori[sz]ation|confirmation)|message (?:is )?(?:being held|awaiting)|whitelist (?:yourself|your)|"
    r"approved senders? list|prove (?:you|that)|best[äa]tigen sie (?:bitte )?(?:ihre|dass)|confirmez (?:votre|que)|"
    r"bevestig (?:uw|dat)|antispam uol|anti-?spam\W.*confirm",
    re.IGNORECASE,
)
_DAEMON = re.compile(
    r"mailer[-_. ]?daemon|mail[-_. ]?daemon|postmaster|mail delivery|delivery (?:sub)?system|mail system|mailsystem|"
    r"microsoftexchange|bounce|mailerdaemon|mdaemon|no-?reply@.*(?:mail|smtp)|system administrator|mail administrator|"
    r"internet mail delivery|gateway|mail server|notification",
    re.IGNORECASE,
)
_BOUNCE_SUBJECT = re.compile(
    r"undeliver|un-deliver|not? deliver|non[- ]deliver|delivery (?:status|fail|error|problem|has failed|report|notif|"
    r"unsuccess|incomplete)|deliver\w* fail|failure|failed|fail(?:ed|ure)? (?:notice|delivery|mail)|returned (?:mail|"
    r"message|to sender|e-?mail)|mail (?:delivery|system|error|returned|failure)|message (?:status|not delivered|"
    r"could not|you sent blocked|delivery)|could not (?:be )?(?:send|deliver|sent)|rejected|bounce|nondeliverable|"
    r"unzustellbar|nicht zugestellt|zustell|fehlgeschlagen|non remis|échec|echec|retour|onbestelbaar|niet (?:bezorgd|"
    r"afgeleverd)|mancat|non recapit|no se (?:ha )?(?:pudo )?entreg|devuelto|devolu|não entreg|niedostarcz|недостав|"
    r"配信|returned|non[- ]?remise|unable to deliver|problem|blocked",
    re.IGNORECASE,
)
_DELAY_SUBJECT = re.compile(
    r"delay|warning|still (?:being )?(?:retr|trying)|deferred|verzögert|retard|vertraagd|ritardo|retras|temporar",
    re.IGNORECASE,
)
_STILL_TRIED = re.compile(
    r"(?:do(?:es)? not|don.t|no) need (?:for you )?to resend|this is a warning message only|will (?:keep|be|continue|"
    r"go on)\w*(?: to)? (?:be )?(?:retr|try|tri|attempt)|delivery attempts will continue|not yet been delivered|"
    r"has been delayed|no action is required|still (?:be|trying|being)|will (?:re)?try|message delayed|"
    r"wird weiter versucht|noch nicht zugestellt|tentatives (?:de remise )?(?:se poursuiv|continu)|"
    r"nog niet (?:bezorgd|afgeleverd)",
    re.IGNORECASE,
)
_GIVEN_UP = re.compile(
    r"giv(?:en|ing) up|gave up|could ?n[o']t be delivered|cannot be delivered|has been returned|permanent|"
    r"failed permanently|was not delivered|undeliverable",
    re.IGNORECASE,
)


def is_of_daemon(mail: Opened, envelope_sender: str | None) -> bool:
    """Whether a mail server wrote it, as far as its headers tell. `envelope_sender` empty: the null one; None: unknown."""
    if "x-failed-recipients" in mail.headers or mail.report == "delivery-status":
        return True
    if _DAEMON.search(mail.header("from")):
        return True
    null = envelope_sender == "" or mail.header("return-path") == "<>"
    return null or _BOUNCE_SUBJECT.search(mail.header("subject")) is not None


def answer_in(mail: Opened, text: str) -> Kind | None:
    """Whether a machine answers for a person; None: it does not look so."""
    subject = mail.header("subject")
    if _is_bounce(mail):
        return None
    if _CHALLENGE.search(subject) or _CHALLENGE.search(text[:3_000]):
        return Kind.CHALLENGE
    submitted = mail.header("auto-submitted").lower()
    if submitted.startswith(("auto-replied", "auto-notified")) or any(name in mail.headers for name in _ANSWER_HEADERS):
        return Kind.ANSWER
    if mail.header("precedence").lower() in {"auto_reply", "auto-reply"} or _ANSWER_SUBJECT.search(subject):
        return Kind.ANSWER
    return None


def is_delay(mail: Opened, text: str) -> bool:
    """Whether the mail is still being tried."""
    if _GIVEN_UP.search(text):
        return False
    if _STILL_TRIED.search(text):
        return True
    return _DELAY_SUBJECT.search(mail.header("subject")) is not None and not phrases.says_hard(text.lower())


def _is_bounce(mail: Opened) -> bool:
    """Whether more than the null sender says that it is a bounce: absence notes have that, too."""
    if "x-failed-recipients" in mail.headers:
        return True
    if _ANSWER_SUBJECT.search(mail.header("subject")) or _CHALLENGE.search(mail.header("subject")):
        return False
    return _DAEMON.search(mail.header("from")) is not None or _BOUNCE_SUBJECT.search(mail.header("subject")) is not None
