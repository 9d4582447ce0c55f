"""What mails that come back are taken for, rule by rule: each of them has one thing that decides."""

import pytest

from tabellion.features.bounces.model import Kind
from tabellion.features.bounces.reading import read

GONE = "550 5.1.1 no such user"
DELAYED = "This is a warning message only, you do not need to resend."


def mail(text: str = GONE, kind: str = "text/plain", **headers: str) -> bytes:
    """A mail with these headers and no others; `kind` is its content's."""
    named = {"Content-Type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return ("".join(f"{name}: {value}\r\n" for name, value in named.items()) + f"\r\n{text}\r\n").encode()


def report(fields: str, words: str = "See below.", kind: str = "message/delivery-status", label: str = "") -> bytes:
    """A report in two parts; `label`: what it says to be, if not a report of delivery."""
    return mail(
        f"--b\r\nContent-Type: text/plain\r\n\r\n{words}\r\n--b\r\nContent-Type: {kind}\r\n\r\n{fields}\r\n--b--",
        f'multipart/report; boundary=b; report-type="{label or "delivery-status"}"',
    )


def of(fields: str, **how: str) -> bytes:
    return report(f"Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; ann@example.com\r\n{fields}\r\n", **how)


@pytest.mark.parametrize(
    ("raw", "envelope", "kind"),
    [
        # Whether a mail server wrote it.
        (mail(), None, Kind.OTHER),
        (mail(), "", Kind.HARD),
        (mail(), "ann@example.com", Kind.OTHER),
        (mail(Return_Path="<>"), None, Kind.HARD),
        (mail(Return_Path="<ann@example.com>"), None, Kind.OTHER),
        (mail(From="MAILER-DAEMON@example.com"), None, Kind.HARD),
        (mail(From="ann@example.com"), None, Kind.OTHER),
        (mail(Subject="Undeliverable: spring"), None, Kind.HARD),
        (mail(Subject="spring"), None, Kind.OTHER),
        (mail(X_Failed_Recipients="ann@example.com"), None, Kind.HARD),
        (mail(kind="text/plain; report-type=delivery-status"), None, Kind.HARD),
        # Whether a machine answers for a person.
        (mail(Auto_Submitted="auto-replied (vacation)"), None, Kind.ANSWER),
        (mail(Auto_Submitted="Auto-Notified"), "", Kind.ANSWER),
        (mail(Auto_Submitted="auto-generated"), None, Kind.OTHER),
        (mail(X_Autoreply="yes"), None, Kind.ANSWER),
        (mail(X_Mail_Autoreply="yes"), None, Kind.ANSWER),
        (mail(Precedence="Auto_Reply"), None, Kind.ANSWER),
        (mail(Precedence="bulk"), None, Kind.OTHER),
        (mail(Subject="Out of office: back on Monday"), "", Kind.ANSWER),
        (mail(Subject="Please verify your message"), "", Kind.CHALLENGE),
        (mail("Please confirm that you are a person"), "", Kind.CHALLENGE),
        (mail("x" * 2990 + " please confirm that you are a person"), "", Kind.SOFT),
        # A bounce all the same.
        (mail(From="MAILER-DAEMON@example.com", Auto_Submitted="auto-replied"), None, Kind.HARD),
        (mail(Subject="Returned mail", Auto_Submitted="auto-replied"), None, Kind.HARD),
        (mail(X_Failed_Recipients="a@b.example", Subject="Out of office"), None, Kind.HARD),
        (mail(From="MAILER-DAEMON@example.com", Subject="Out of office"), None, Kind.ANSWER),
        (mail(From="postmaster@example.com", Subject="Please verify your message"), None, Kind.CHALLENGE),
        # Whether it is still being tried.
        (mail(DELAYED), "", Kind.DELAYED),
        (mail(f"{DELAYED} It was undeliverable."), "", Kind.SOFT),
        (mail("The relay is busy.", Subject="Delivery is delayed"), "", Kind.DELAYED),
        (mail("no such user", Subject="Delivery is delayed"), "", Kind.HARD),
        (mail("The relay is busy.", Subject="spring"), "", Kind.SOFT),
        # Complaints and receipts.
        (mail(Subject="complaint about message from 192.0.2.1"), None, Kind.COMPLAINT),
        (mail(Subject="a complaint about message from 192.0.2.1"), None, Kind.OTHER),
        (report("Feedback-Type: abuse", kind="message/feedback-report", label="feedback-report"), None, Kind.COMPLAINT),
        (report("Feedback-Type: fraud", kind="text/plain", label="feedback-report"), None, Kind.COMPLAINT),
        (report("Feedback-Type: abuse", kind="text/plain", label="other"), None, Kind.OTHER),
        (report("User-Agent: x", kind="message/feedback-report", label="other"), None, Kind.COMPLAINT),
        (report("Feedback-Type: Not-Spam", kind="message/feedback-report", label="feedback-report"), None, Kind.OTHER),
        (report("Feedback-Type: auth-failure", kind="message/feedback-report", label="feedback-report"), None, Kind.OTHER),
        (report("X-HmXmrOriginalRecipient: a@b.example", kind="message/rfc822", label="other"), None, Kind.COMPLAINT),
        (report("X-HmXmrOriginalRecipient: a@b.example", kind="text/plain", label="other"), None, Kind.OTHER),
        (report("Disposition: x; displayed", kind="message/disposition-notification", label="other"), None, Kind.ANSWER),
        (report("Disposition: x", kind="text/plain", label="disposition-notification"), None, Kind.ANSWER),
        (
            report("Disposition: x; deleted", GONE + ", rejected", "message/disposition-notification", "other"),
            None,
            Kind.HARD,
        ),
        (report("Disposition: x; deleted", GONE, "message/disposition-notification", "other"), None, Kind.ANSWER),
        (
            report("Disposition: x; read", GONE + ", rejected", "message/disposition-notification", "other"),
            None,
            Kind.ANSWER,
        ),
        # Reports: action, status, diagnostic.
        (of("Action: failed\r\nStatus: 5.1.1"), None, Kind.HARD),
        (of("Action: failed\r\nStatus: 5.0.0\r\nDiagnostic-Code: smtp; 550 5.7.1 spam"), None, Kind.BLOCK),
        (of("Action: failed\r\nStatus: 5.0.0\r\nX-Display-Diagnostic: 550 5.7.1 spam"), None, Kind.BLOCK),
        (of("Action: failed\r\nStatus: 5.0.0 (user unknown)"), None, Kind.HARD),
        (of("Action: failed\r\nStatus: 5.0.0", words="user unknown"), None, Kind.HARD),
        (of("Action: failed\r\nStatus: 4.4.7"), None, Kind.SOFT),
        (of("Action: delayed\r\nStatus: 4.4.7"), None, Kind.DELAYED),
        (of("Action: Delayed;\r\nStatus: 5.1.1"), None, Kind.DELAYED),
        (of("Action: relay\r\nStatus: 4.4.7"), None, Kind.DELAYED),
        (of("Status: 4.4.7"), None, Kind.SOFT),
        (of("Status: 4.4.7", words=DELAYED), None, Kind.DELAYED),
        (of("Status: 5.1.1", words=DELAYED), None, Kind.HARD),
        (of("Action: delivered\r\nStatus: 2.0.0"), None, Kind.OTHER),
        (of("Action: relayed (to x)\r\nStatus: 5.1.1"), None, Kind.OTHER),
        (of("Action: expanded"), None, Kind.OTHER),
        (of("Action: failed\r\nStatus: 5.1.1", kind="text/plain"), None, Kind.HARD),
        (of("Action: failed", kind="text/plain"), None, Kind.SOFT),
        # The worst of several.
        (
            of("Action: delivered\r\n\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\nAction: delayed\r\nStatus: 4.0.0"),
            None,
            Kind.HARD,
        ),
        (of("Action: failed\r\nStatus: 4.2.2\r\n\r\nAction: failed\r\nStatus: 5.7.1"), None, Kind.BLOCK),
        (of("Action: failed\r\nStatus: 4.2.2\r\n\r\nAction: delayed\r\nStatus: 4.0.0"), None, Kind.SOFT),
    ],
)
def test_each_rule(raw: bytes, envelope: str | None, kind: Kind) -> None:
    found = read(raw, envelope)
    assert found.kind is kind, found
