"""Bounces, complaints and automatic answers as mail systems write them: every shape with replies of receiving servers.

A message says which class it must get. The shapes imitate what systems send; nothing here is read by the code under test.
"""

import random
from base64 import b64encode
from collections.abc import Callable, Iterator
from email.header import Header
from quopri import encodestring
from typing import NamedTuple

from tests.support.bounce_replies import REPLIES, Said

TO, BACK, IP = "ann@example.org", "b-0123456789@bounces.example.com", "192.0.2.25"
ORIGINAL = (
    f"Return-Path: <{BACK}>\r\nReceived: from tabellion (localhost [127.0.0.1]) by out.example.com with ESMTP id 4XyZ;\r\n"
    f" Mon, 01 Mar 2027 09:00:00 +0000\r\nFrom: Harbour Hotels <news@example.com>\r\nTo: {TO}\r\n"
    "Subject: Last rooms: spam-free weekends, mailbox full of offers\r\nMessage-ID: <1.2.3@example.com>\r\n"
    "Date: Mon, 01 Mar 2027 09:00:00 +0000\r\nList-Unsubscribe: <https://mail.example.com/t/u/abc>\r\n"
    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
)
BODY = "Dear Ann,\r\n\r\nour quota of rooms is exceeded soon. Blocked dates: none.\r\n"


class Message(NamedTuple):
    """One message: `name` says shape and case, `kind` is what it must be taken for."""

    name: str
    kind: str
    raw: bytes


class Head(NamedTuple):
    """Headers that differ: who writes, what the subject is, what else."""

    sender: str
    subject: str
    extra: str = ""


def _mail(head: Head, kind: str, body: str) -> bytes:
    subject = head.subject if head.subject.isascii() else Header(head.subject, "utf-8").encode()
    text = (
        f"Return-Path: <>\r\nReceived: from mx.example.net (mx.example.net [198.51.100.3]) by in.example.com;\r\n"
        f" Mon, 01 Mar 2027 09:01:00 +0000\r\nDate: Mon, 01 Mar 2027 09:01:00 +0000\r\nFrom: {head.sender}\r\n"
        f"To: {BACK}\r\nSubject: {subject}\r\nMessage-ID: <x@mx.example.net>\r\n{head.extra}"
        f"MIME-Version: 1.0\r\nContent-Type: {kind}\r\n"
    )
    return (text + body).encode()


def _plain(head: Head, text: str, charset: str = "utf-8") -> bytes:
    return _mail(head, f"text/plain; charset={charset}", f"Content-Transfer-Encoding: 8bit\r\n\r\n{text}")


def _report(head: Head, words: str, fields: str, *, original: str = "message/rfc822", inner: str = "text/plain") -> bytes:
    parts = [
        f"Content-Description: Notification\r\nContent-Type: {inner}; charset=utf-8\r\n\r\n{words}\r\n",
        f"Content-Description: Delivery report\r\nContent-Type: message/delivery-status\r\n\r\n{fields}\r\n",
    ]
    if original:
        parts.append(
            f"Content-Type: {original}\r\n\r\n{ORIGINAL}{'' if 'headers' in original else chr(13) + chr(10) + BODY}"
        )
    body = "\r\n" + "".join(f"--=_b\r\n{part}\r\n" for part in parts) + "--=_b--\r\n"
    return _mail(head, 'multipart/report; report-type=delivery-status;\r\n boundary="=_b"', body)


def _fields(said: Said, mta: str, *, action: str = "failed", diagnostic: str = "", remote: str = "mx.example.org") -> str:
    text = diagnostic or f"smtp; {_said(said)}"
    return (
        f"Reporting-MTA: dns; {mta}\r\nX-Queue-ID: 4A1B2C\r\nArrival-Date: Mon, 1 Mar 2027 09:00:00 +0000 (UTC)\r\n\r\n"
        f"Final-Recipient: rfc822; {TO}\r\nOriginal-Recipient: rfc822;{TO}\r\nAction: {action}\r\nStatus: {said.code}\r\n"
        f"Remote-MTA: dns; {remote}\r\nDiagnostic-Code: {_fold(text)}\r\n"
    )


def _said(said: Said) -> str:
    return said.said.format(to=TO, ip=IP)


def _fold(text: str) -> str:
    lines, line = [], ""
    for word in text.split(" "):
        if len(line) + len(word) > 70 and line:
            lines.append(line)
            line = "   "
        line += f" {word}" if line.strip() else word if not lines else f" {word}"
    return "\r\n".join([*lines, line])


# --- shapes of failures ---------------------------------------------------------------------------------------------


def postfix(said: Said) -> bytes:
    words = (
        "This is the mail system at host out.example.com.\r\n\r\nI'm sorry to have to inform you that your message could not\r\n"
        "be delivered to one or more recipients. It's attached below.\r\n\r\nFor further assistance, please send mail to postmaster."
        "\r\n\r\nIf you do so, please include this problem report. You can\r\ndelete your own text from the attached returned "
        f"message.\r\n\r\n                   The mail system\r\n\r\n<{TO}>: host mx.example.org[192.0.2.7] said:\r\n    "
        f"{_fold(_said(said))} (in reply\r\n    to RCPT TO command)\r\n"
    )
    head = Head(
        "MAILER-DAEMON@out.example.com (Mail Delivery System)",
        "Undelivered Mail Returned to Sender",
        "Auto-Submitted: auto-replied\r\n",
    )
    return _report(head, words, _fields(said, "out.example.com"))


def postfix_headers_only(said: Said) -> bytes:
    head = Head("MAILER-DAEMON@out.example.com (Mail Delivery System)", "Undelivered Mail Returned to Sender")
    words = f"<{TO}>: {_said(said)}\r\n"
    return _report(head, words, _fields(said, "out.example.com"), original="text/rfc822-headers")


def exim(said: Said) -> bytes:
    head = Head(
        "Mail Delivery System <Mailer-Daemon@mx.example.net>", "Mail delivery failed: returning message to sender",
        f"X-Failed-Recipients: {TO}\r\nAuto-Submitted: auto-replied\r\n",
    )  # fmt: skip
    return _plain(
        head,
        "This message was created automatically by mail delivery software.\r\n\r\nA message that you sent could not be delivered to "
        "one or more of its\r\nrecipients. This is a permanent error. The following address(es) failed:\r\n\r\n"
        f"  {TO}\r\n    SMTP error from remote mail server after RCPT TO:<{TO}>:\r\n    host mx.example.org [192.0.2.7]: "
        f"{_said(said)}\r\n\r\n------ This is a copy of the message, including all the headers. ------\r\n\r\n{ORIGINAL}\r\n{BODY}",
    )


def exim_report(said: Said) -> bytes:
    head = Head(
        "Mail Delivery System <Mailer-Daemon@mx.example.net>",
        "Mail delivery failed: returning message to sender",
        "Auto-Submitted: auto-replied\r\n",
    )
    words = (
        "This message was created automatically by mail delivery software.\r\n\r\nA message that you sent could not be delivered to "
        f"one or more of its\r\nrecipients. This is a permanent error. The following address(es) failed:\r\n\r\n  {TO}\r\n    host "
        f"mx.example.org [192.0.2.7]\r\n    SMTP error from remote mail server after RCPT TO:<{TO}>:\r\n    {_said(said)}\r\n"
    )
    plain = f"Reporting-MTA: dns; mx.example.net\r\n\r\nAction: failed\r\nFinal-Recipient: rfc822;{TO}\r\nStatus: 5.0.0\r\nRemote-MTA: dns; mx.example.org\r\nDiagnostic-Code: smtp; {_said(said)}\r\n"
    return _report(head, words, plain)


def sendmail(said: Said) -> bytes:
    words = (
        "The original message was received at Mon, 1 Mar 2027 09:00:00 GMT\r\nfrom localhost [127.0.0.1]\r\n\r\n   ----- The "
        f"following addresses had permanent fatal errors -----\r\n<{TO}>\r\n    (reason: {_said(said)[:70]})\r\n\r\n   ----- "
        f"Transcript of session follows -----\r\n... while talking to mx.example.org.:\r\n>>> DATA\r\n<<< {_said(said)}\r\n"
    )
    head = Head(
        "Mail Delivery Subsystem <MAILER-DAEMON@mx.example.net>",
        "Returned mail: see transcript for details",
        "Auto-Submitted: auto-generated (failure)\r\n",
    )
    fields = _fields(said, "mx.example.net", diagnostic=f"SMTP; {_said(said)}")
    return _report(head, words, fields, original="text/rfc822-headers")


def qmail(said: Said) -> bytes:
    return _plain(
        Head("MAILER-DAEMON@mx.example.net", "failure notice"),
        "Hi. This is the qmail-send program at mx.example.net.\r\nI'm afraid I wasn't able to deliver your message to the following "
        f"addresses.\r\nThis is a permanent error; I've given up. Sorry it didn't work out.\r\n\r\n<{TO}>:\r\n192.0.2.7 does not like "
        f"recipient.\r\nRemote host said: {_said(said)}\r\nGiving up on 192.0.2.7.\r\n\r\n--- Below this line is a copy of the "
        f"message.\r\n\r\n{ORIGINAL}\r\n{BODY}",
    )


def exchange(said: Said) -> bytes:
    words = (
        "This is an automatically generated Delivery Status Notification.\r\n\r\nDelivery to the following recipients failed.\r\n\r\n"
        f"       {TO}\r\n"
    )
    fields = (
        f"Reporting-MTA: dns;EX01.corp.example.net\r\nReceived-From-MTA: dns;out.example.com\r\n\r\nFinal-Recipient: RFC822;{TO}\r\n"
        f"Action: failed\r\nStatus: {said.code}\r\nDiagnostic-Code: smtp;{_said(said)}\r\nX-Display-Name: Ann\r\n"
    )
    return _report(Head("postmaster@corp.example.net", "Delivery Status Notification (Failure)"), words, fields)


def office365(said: Said) -> bytes:
    page = (
        "<html><head><style>.a{color:red}</style></head><body><p><b>Your message to ann@example.org couldn't be delivered.</b></p>"
        "<table><tr><td>news</td><td>Office 365</td><td>example.org</td></tr></table><p>Action Required: Recipient</p>"
        f"<p><b>More Info for Email Admins</b><br>Status code: {said.code}</p><p>Original Message Details</p>"
        f"<p>Error: {_said(said).replace('<', '&lt;').replace('>', '&gt;')}</p></body></html>"
    )
    head = Head(
        "Microsoft Outlook <postmaster@example.org>",
        "Undeliverable: Last rooms",
        "Auto-Submitted: auto-replied\r\nX-MS-Exchange-Message-Is-Ndr:\r\n",
    )
    return _report(
        head,
        page,
        _fields(said, "AM0PR01MB1234.eurprd01.prod.exchangelabs.com", diagnostic=f"smtp;{_said(said)}"),
        inner="text/html",
    )


def gmail(said: Said) -> bytes:
    words = (
        f"** Message not delivered **\r\n\r\nYour message couldn't be delivered to {TO}. See technical details below.\r\n\r\n"
        f"Learn more here: https://support.google.com/mail/answer/7720\r\n\r\nThe response from the remote server was:\r\n{_said(said)}\r\n"
    )
    head = Head(
        "Mail Delivery Subsystem <mailer-daemon@googlemail.com>",
        "Delivery Status Notification (Failure)",
        f"X-Failed-Recipients: {TO}\r\nAuto-Submitted: auto-replied\r\n",
    )
    fields = (
        "Reporting-MTA: dns; googlemail.com\r\nArrival-Date: Mon, 01 Mar 2027 01:00:00 -0800 (PST)\r\nX-Original-Message-ID: "
        f"<1.2.3@example.com>\r\n\r\nFinal-Recipient: rfc822; {TO}\r\nAction: failed\r\nStatus: {said.code}\r\nRemote-MTA: dns; "
        f"mx.example.org. (192.0.2.7, the server for the domain example.org.)\r\nDiagnostic-Code: smtp; {_said(said)}\r\n"
        "Last-Attempt-Date: Mon, 01 Mar 2027 01:00:01 -0800 (PST)\r\n"
    )
    return _report(head, words, fields)


def yahoo(said: Said) -> bytes:
    return _plain(
        Head("MAILER-DAEMON@yahoo.com", "Failure Notice"),
        f"Sorry, we were unable to deliver your message to the following address.\r\n\r\n<{TO}>:\r\n{_said(said)}\r\n\r\n"
        f"--- Below this line is a copy of the message.\r\n\r\n{ORIGINAL}\r\n{BODY}",
    )


def outlook_com(said: Said) -> bytes:
    words = f"Delivery has failed to these recipients or groups:\r\n\r\n{TO}\r\nYour message couldn't be delivered.\r\n\r\nDiagnostic information for administrators:\r\n\r\nGenerating server: DB5EUR01.eop-eur01.prod.protection.outlook.com\r\n\r\n{TO}\r\nRemote Server returned '{_said(said)}'\r\n\r\nOriginal message headers:\r\n\r\n{ORIGINAL}"
    head = Head("postmaster@outlook.com", "Undeliverable: Last rooms")
    return _report(head, words, _fields(said, "DB5EUR01.eop-eur01.prod.protection.outlook.com"))


def ses(said: Said) -> bytes:
    words = f"An error occurred while trying to deliver the mail to the following recipients:\r\n{TO}\r\n"
    head = Head("MAILER-DAEMON@eu-west-1.amazonses.com", "Delivery Status Notification (Failure)")
    return _report(head, words, _fields(said, "a4-15.smtp-out.eu-west-1.amazonses.com"))


def mailgun(said: Said) -> bytes:
    return _report(
        Head("Mail Delivery System <postmaster@mg.example.com>", "Undelivered mail"),
        f"The following recipients failed permanently:\r\n  {TO}: {_said(said)}\r\n",
        f"Reporting-MTA: dns; mg.example.com\r\n\r\nFinal-Recipient: rfc822;{TO}\r\nAction: failed\r\nStatus: 5.0.0\r\nDiagnostic-Code: smtp; {_said(said)}\r\n",
    )


def domino(said: Said) -> bytes:
    words = (
        "Your message\r\n\r\n  Subject: Last rooms\r\n\r\nwas not delivered to:\r\n\r\n"
        f"  {TO}\r\n\r\nbecause:\r\n\r\n  {_said(said)}\r\n"
    )
    fields = f"Reporting-MTA: dns;notes.example.net\r\n\r\nFinal-Recipient: rfc822;{TO}\r\nAction: failed\r\nStatus: {said.code if said.code != '5.0.0' else '5.1.1' if said.kind == 'HARD' else '5.0.0'}\r\nDiagnostic-Code: X-Notes; {_said(said)}\r\n"
    return _report(Head("Postmaster@example.net", f"DELIVERY FAILURE: {_said(said)[:60]}"), words, fields)


def groupwise(said: Said) -> bytes:
    head = Head("Mailer-Daemon@gw.example.net", "Message status - undeliverable")
    return _plain(
        head, f"\r\nThe message that you sent was undeliverable to the following:\r\n\t{TO} ({_said(said)})\r\n\r\n"
    )


def ironport(said: Said) -> bytes:
    head = Head('"Mail Delivery System" <MAILER-DAEMON@esa1.example.net>', "Delivery Status Notification (Failure)")
    words = f"The following message to <{TO}> was undeliverable.\r\nThe reason for the problem:\r\n{said.code} - Failure '{_said(said)}'\r\n"
    fields = f"Reporting-MTA: dns; esa1.example.net\r\n\r\nFinal-Recipient: rfc822;{TO}\r\nAction: failed\r\nStatus: 5.0.0 (permanent failure)\r\nRemote-MTA: dns; [192.0.2.7]\r\nDiagnostic-Code: smtp; {said.code} - Failure '{_said(said)}' (delivery attempts: 0)\r\n"
    return _report(head, words, fields)


def mdaemon(said: Said) -> bytes:
    return _plain(
        Head("MDaemon@example.net", "Permanent Delivery Failure"),
        "The attached message had PERMANENT fatal delivery errors!\r\n\r\nYOUR MESSAGE WAS NOT DELIVERED!\r\n\r\nThe following "
        f"addresses did NOT receive a copy of your message:\r\n\r\n> {TO}\r\n\r\n--- Session Transcript ---\r\n <-- {_said(said)}\r\n"
        "--- End Transcript ---\r\n",
    )


def courier(said: Said) -> bytes:
    words = f"This is a delivery status notification from mx.example.net,\r\nrunning the Courier mail server.\r\n\r\nUNDELIVERABLE MAIL\r\n\r\nYour message to the following recipients cannot be delivered:\r\n\r\n<{TO}>:\r\n    mx.example.org [192.0.2.7]:\r\n<<< {_said(said)}\r\n"
    fields = f"Reporting-MTA: dns; mx.example.net\r\n\r\nFinal-Recipient: rfc822; {TO}\r\nAction: failed\r\nStatus: 5.0.0\r\nDiagnostic-Code: smtp; {_said(said)}\r\n"
    return _report(
        Head('"Courier mail server at mx.example.net" <@>', "NOTICE: mail delivery status."),
        words,
        fields,
        original="text/rfc822-headers",
    )


def opensmtpd(said: Said) -> bytes:
    words = f"    Hi!\r\n\r\n    This is the MAILER-DAEMON, please DO NOT REPLY to this email.\r\n\r\n    An error has occurred while attempting to deliver a message for\r\n    the following list of recipients:\r\n\r\n{TO}: {_said(said)}\r\n\r\n    Below is a copy of the original message:\r\n"
    fields = f"Reporting-MTA: dns; mx.example.net\r\n\r\nFinal-Recipient: rfc822; {TO}\r\nAction: failed\r\nStatus: {said.code}\r\n"
    return _report(
        Head("Mailer Daemon <MAILER-DAEMON@mx.example.net>", "Delivery status notification: error"), words, fields
    )


def mailenable(said: Said) -> bytes:
    return _plain(
        Head("Postmaster@example.net", "Message Delivery Failure"),
        "MailEnable: Message could not be delivered to some recipients.\r\nThe following recipient(s) could not be reached:\r\n\r\n"
        f"\t[SMTP:{TO}]: {_said(said)}\r\n\r\nMessage headers follow:\r\n\r\n{ORIGINAL}",
    )


def german_1und1(said: Said) -> bytes:
    return _plain(
        Head("Mail Delivery System <mailer-daemon@kundenserver.de>", "Mail delivery failed: returning message to sender"),
        "This message was created automatically by mail delivery software.\r\nDiese Nachricht wurde automatisch erzeugt.\r\n\r\nA message "
        "that you sent could not be delivered to one or more of\r\nits recipients. This is a permanent error. The following address\r\n"
        f"failed:\r\n\r\n{TO}:\r\nSMTP error from remote server for RCPT TO command, host: mx.example.org (192.0.2.7) reason: "
        f"{_said(said)}\r\n\r\n--- The header of the original message is following. ---\r\n\r\n{ORIGINAL}",
    )


def french(said: Said) -> bytes:
    head = Head("Système de messagerie <MAILER-DAEMON@smtp.example.fr>".encode().decode(), "Échec de remise du message")
    return _plain(
        head,
        "Ceci est un message automatique du serveur de messagerie.\r\n\r\nVotre message n'a pas pu être remis à un ou plusieurs "
        f"destinataires.\r\n\r\n<{TO}>: {_said(said)}\r\n\r\n----- Message original -----\r\n\r\n{ORIGINAL}",
    )


def html_only(said: Said) -> bytes:
    page = f"<html><body><h2>Nachricht unzustellbar</h2><p>Ihre E-Mail an <b>{TO}</b> wurde nicht zugestellt:</p><pre>{_said(said).replace('<', '&lt;').replace('>', '&gt;')}</pre></body></html>"
    encoded = encodestring(page.encode()).decode().replace("\n", "\r\n")
    return _mail(
        Head("Postmaster <postmaster@example.de>", "Unzustellbar: Last rooms"),
        "text/html; charset=utf-8",
        f"Content-Transfer-Encoding: quoted-printable\r\n\r\n{encoded}",
    )


def base64_text(said: Said) -> bytes:
    text = b64encode(f"The mail system could not deliver your message.\n\n{TO}\n{_said(said)}\n".encode()).decode()
    return _mail(
        Head("Mail Administrator <postmaster@example.jp>", "Mail System Error - Returned Mail"),
        "text/plain; charset=utf-8",
        f"Content-Transfer-Encoding: base64\r\n\r\n{text}\r\n",
    )


def report_without_diagnostic(said: Said) -> bytes:
    fields = f"Reporting-MTA: dns; mx.example.net\r\n\r\nFinal-Recipient: rfc822; {TO}\r\nAction: failed\r\nStatus: {said.code}\r\n"
    return _report(
        Head("Mail Delivery System <MAILER-DAEMON@mx.example.net>", "Undeliverable mail"),
        f"{TO}: {_said(said)}\r\n",
        fields,
        original="",
    )


def report_mislabelled(said: Said) -> bytes:
    """A report whose parts are all called text, as gateways make of it."""
    return _report(
        Head("MAILER-DAEMON@mx.example.net", "Delivery failure"), f"{TO} failed\r\n", _fields(said, "mx.example.net")
    ).replace(b"Content-Type: message/delivery-status", b"Content-Type: text/plain")


def powermta(said: Said) -> bytes:
    words = f"Hello, this is the mail server on out.example.com.\r\n\r\nI am sending you this message to inform you on the delivery status of a\r\nmessage you previously sent.  Immediately below you will find a list of\r\nthe affected recipients;  also attached is a Delivery Status Notification\r\n(DSN) report in standard format, as well as the headers of the original\r\nmessage.\r\n\r\n  <{TO}>  delivery failed; will not continue trying\r\n"
    fields = f"Reporting-MTA: dns;out.example.com (PowerMTA(TM) v5.0)\r\n\r\nOriginal-Recipient: rfc822;{TO}\r\nFinal-Recipient: rfc822;{TO}\r\nAction: failed\r\nStatus: {said.code}\r\nRemote-MTA: dns;mx.example.org (192.0.2.7)\r\nDiagnostic-Code: smtp;{_said(said)}\r\nX-PowerMTA-BounceCategory: other\r\n"
    return _report(Head("postmaster@out.example.com", "Delivery report"), words, fields, original="text/rfc822-headers")


FAILURES: list[Callable[[Said], bytes]] = [
    postfix, postfix_headers_only, exim, exim_report, sendmail, qmail, exchange, office365, gmail, yahoo, outlook_com, ses, mailgun,
    domino, groupwise, ironport, mdaemon, courier, opensmtpd, mailenable, german_1und1, french, html_only, base64_text,
    report_without_diagnostic, report_mislabelled, powermta,
]  # fmt: skip


# --- what is no failure ---------------------------------------------------------------------------------------------


def _delays() -> Iterator[Message]:
    later = Said("any", "DELAYED", "4.4.1", "connect to mx.example.org[192.0.2.7]:25: Connection timed out")
    words = "This is the mail system at host out.example.com.\r\n\r\n####################################################################\r\n# THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #\r\n####################################################################\r\n\r\nYour message could not be delivered for more than 4 hour(s).\r\nIt will be retried until it is 5 day(s) old.\r\n"
    yield Message(
        "delay postfix",
        "DELAYED",
        _report(
            Head("MAILER-DAEMON@out.example.com (Mail Delivery System)", "Delayed Mail (still being retried)"),
            words,
            _fields(later, "out.example.com", action="delayed"),
        ),
    )
    yield Message(
        "delay sendmail",
        "DELAYED",
        _report(
            Head(
                "Mail Delivery Subsystem <MAILER-DAEMON@mx.example.net>", "Warning: could not send message for past 4 hours"
            ),
            "    ** THIS IS A WARNING MESSAGE ONLY  **\r\n    **  YOU DO NOT NEED TO RESEND YOUR MESSAGE  **\r\n",
            _fields(later, "mx.example.net", action="delayed"),
        ),
    )
    yield Message(
        "delay exim",
        "DELAYED",
        _plain(
            Head(
                "Mail Delivery System <Mailer-Daemon@mx.example.net>",
                "Warning: message 1abc delayed 24 hours",
                "Auto-Submitted: auto-replied\r\n",
            ),
            f"This message was created automatically by mail delivery software.\r\nA message that you sent has not yet been delivered to one or more of its\r\nrecipients after more than 24 hours on the queue on mx.example.net.\r\n\r\nThe address to which the message has not yet been delivered is:\r\n\r\n  {TO}\r\n    Delay reason: Connection timed out\r\n\r\nNo action is required on your part. Delivery attempts will continue for\r\nsome time, and this warning may be repeated at intervals.\r\n",
        ),
    )
    yield Message(
        "delay gmail",
        "DELAYED",
        _report(
            Head("Mail Delivery Subsystem <mailer-daemon@googlemail.com>", "Delivery Status Notification (Delay)"),
            "** Delivery incomplete **\r\n\r\nThere was a temporary problem delivering your message. Gmail will retry for 46 more hours.\r\n",
            _fields(later, "googlemail.com", action="delayed"),
        ),
    )
    yield Message(
        "delay exchange",
        "DELAYED",
        _report(
            Head("postmaster@corp.example.net", "Delivery delayed: Last rooms"),
            "Delivery is delayed to these recipients or groups:\r\n\r\nThe server will keep trying to deliver this message for the next 1 days.\r\n",
            _fields(later, "EX01", action="delayed"),
        ),
    )
    yield Message(
        "delay ironport",
        "DELAYED",
        _report(
            Head("MAILER-DAEMON@esa1.example.net", "Delivery Status Notification (Delay)"),
            "Delivery to the following recipients has been delayed.\r\n",
            _fields(later, "esa1", action="delayed"),
        ),
    )


def _receipts() -> Iterator[Message]:
    done = Said("any", "OTHER", "2.0.0", "250 2.0.0 Ok")
    for action in ("delivered", "relayed", "expanded"):
        yield Message(
            f"success {action}",
            "OTHER",
            _report(
                Head("MAILER-DAEMON@out.example.com", "Successful Mail Delivery Report"),
                "Your message was successfully delivered.\r\n",
                _fields(done, "out.example.com", action=action),
            ),
        )
    for subject in ("Read: Last rooms", "Gelesen: Last rooms", "Lu : Last rooms", "Not read: Last rooms"):
        what = "deleted" if subject.startswith("Not") else "displayed"
        body = f"\r\n--=_b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nYour message was {'deleted without being read' if what == 'deleted' else 'read'} on Monday.\r\n--=_b\r\nContent-Type: message/disposition-notification\r\n\r\nReporting-UA: client\r\nFinal-Recipient: rfc822;{TO}\r\nDisposition: manual-action/MDN-sent-manually; {what}\r\n--=_b--\r\n"
        yield Message(
            f"receipt {subject}",
            "ANSWER",
            _mail(
                Head(f"Ann <{TO}>", subject), 'multipart/report; report-type=disposition-notification; boundary="=_b"', body
            ),
        )


_AWAY = [
    ("Automatic reply: Last rooms", "Thank you for your message. I am out of the office until Monday. My mailbox is not read meanwhile.", "Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n"),
    ("Out of Office: Last rooms", "I'm on leave and cannot be reached. In urgent cases write to bob@example.org.", ""),
    ("Out of the office Re: Last rooms", "Away till the 9th.", "X-Autoreply: yes\r\n"),
    ("Re: Last rooms (Auto-Reply)", "I have left the company. This account is no longer active.", "Auto-Submitted: auto-replied (vacation)\r\n"),
    ("Automatische Antwort: Last rooms", "Ich bin bis Montag nicht im Büro. Ihre E-Mail wird nicht weitergeleitet.", ""),
    ("Abwesenheitsnotiz: Last rooms", "Vielen Dank für Ihre Nachricht. Ich bin im Urlaub.", ""),
    ("Abwesend: Last rooms", "Bin wieder da am 3. Mai.", "Auto-Submitted: auto-replied\r\n"),
    ("Réponse automatique : Last rooms", "Je suis absente jusqu'au lundi. Votre message ne sera pas lu.", ""),
    ("Absence du bureau : Last rooms", "Je suis en congé.", ""),
    ("Automatisch antwoord: Last rooms", "Ik ben afwezig tot maandag.", ""),
    ("Afwezig: Last rooms", "Ik ben met vakantie.", ""),
    ("Respuesta automática: Last rooms", "Estoy fuera de la oficina hasta el lunes.", ""),
    ("Risposta automatica: Last rooms", "Sono fuori ufficio fino a lunedì.", ""),
    ("Fuori sede", "Sarò di nuovo in ufficio lunedì.", "Precedence: auto_reply\r\n"),
    ("Resposta automática: Last rooms", "Estou de férias.", ""),
    ("Autosvar: Last rooms", "Jag är på semester.", ""),
    ("Автоответ: Last rooms", "Я в отпуске.", "Auto-Submitted: auto-replied\r\n"),
    ("Re: Last rooms", "Dit is een automatisch bericht: ik werk niet op vrijdag.", "Auto-Submitted: auto-replied\r\n"),
    ("Thank you for contacting Example", "We have received your message. Ticket 4711 was opened.", "X-Autorespond: Last rooms\r\nPrecedence: bulk\r\n"),
    ("[Ticket 4711] Last rooms", "Your request was received.", "Auto-Submitted: auto-replied\r\n"),
]  # fmt: skip
_CHALLENGES = [
    ("Re: Last rooms [Verify Email Address]", "From: Ann. Thanks for the message. Since I use Spam Arrest, please verify your e-mail address by clicking the link: https://spamarrest.example"),
    ("Please confirm your message to Ann", "To complete the delivery of your message, you must confirm it by replying. Your message is being held until then."),
    ("Boxbe: your message to ann@example.org", "Your message is waiting. ann@example.org uses Boxbe to prioritise messages. Please verify your address: https://www.boxbe.com/verify"),
    ("Sender Verification Required for Last rooms", "You are not on my approved senders list. Complete the captcha to prove you are a person."),
    ("[TMDA] Action required", "Please confirm that you sent this message. This confirmation is needed once: challenge-response."),
    ("AntiSpam UOL - Solicitação de confirmação", "Anti-spam: confirm your e-mail to be delivered; please verify your address."),
]  # fmt: skip


def _answers() -> Iterator[Message]:
    for number, (subject, text, extra) in enumerate(_AWAY):
        head = Head(f"Ann Vos <{TO}>", subject, extra)
        yield Message(f"away {subject}", "ANSWER", _plain(head, text + f"\r\n\r\n-----Original Message-----\r\n{BODY}"))
        if number % 3 == 0:
            page = encodestring(f"<html><body><div>{text}</div></body></html>".encode()).decode().replace("\n", "\r\n")
            yield Message(
                f"away html {subject}",
                "ANSWER",
                _mail(head, "text/html; charset=utf-8", f"Content-Transfer-Encoding: quoted-printable\r\n\r\n{page}"),
            )
    for subject, text in _CHALLENGES:
        yield Message(
            f"challenge {subject}",
            "CHALLENGE",
            _plain(Head(f"Ann <{TO}>", subject, "Auto-Submitted: auto-replied\r\n"), text),
        )


def complaint(
    feedback: str = "abuse",
    agent: str = "Yahoo!-Mail-Feedback/2.0",
    original: str = ORIGINAL + "\r\n" + BODY,
    extra: str = "",
) -> bytes:
    """A complaint in the standard's form."""
    body = (
        "\r\n--=_b\r\nContent-Type: text/plain; charset=US-ASCII\r\n\r\nThis is an email abuse report for an email message received from\r\n"
        f"192.0.2.25 on Mon, 1 Mar 2027.\r\n\r\n--=_b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: {feedback}\r\n"
        f"User-Agent: {agent}\r\nVersion: 1\r\nSource-IP: {IP}\r\n{extra}\r\n--=_b\r\nContent-Type: message/rfc822\r\n\r\n{original}\r\n--=_b--\r\n"
    )
    return _mail(
        Head("Feedback <feedback@arf.example.net>", "Abuse report: Last rooms"),
        'multipart/report; report-type=feedback-report; boundary="=_b"',
        body,
    )


def _complaints() -> Iterator[Message]:
    agents = [
        "Yahoo!-Mail-Feedback/2.0",
        "ReturnPathFBL/2.0",
        "AOL SComp",
        "Amazon SES-FBL/1.0",
        "SomeGenerator/1.0",
        "Comcast Feedback Loop",
        "Mail.Ru FBL",
        "XS4ALL/1.0",
        "LaPoste-FBL/1",
        "Validity-UFBL/1.0",
    ]
    for agent in agents:
        yield Message(
            f"arf {agent}",
            "COMPLAINT",
            complaint(agent=agent, extra=f"Original-Rcpt-To: <{TO}>\r\nReported-Domain: example.com\r\n"),
        )
    for kind in ("fraud", "virus", "other", "ABUSE", "miscategorized", "opt-out"):
        yield Message(f"arf {kind}", "COMPLAINT", complaint(kind))
    yield Message("arf not spam", "OTHER", complaint("not-spam"))
    yield Message("arf auth failure", "OTHER", complaint("auth-failure", "Lua/1.0", extra="Auth-Failure: dmarc\r\n"))
    yield Message(
        "arf labelled as text",
        "COMPLAINT",
        complaint().replace(b"Content-Type: message/feedback-report", b"Content-Type: text/plain"),
    )
    yield Message(
        "arf headers only", "COMPLAINT", complaint(original=ORIGINAL).replace(b"message/rfc822", b"text/rfc822-headers")
    )
    redacted = ORIGINAL.replace(TO, "redacted@example.org")
    yield Message("arf redacted", "COMPLAINT", complaint(original=redacted))
    body = f"\r\n--=_b\r\nContent-Type: message/rfc822\r\n\r\nX-HmXmrOriginalRecipient: {TO}\r\n{ORIGINAL}\r\n{BODY}\r\n--=_b--\r\n"
    yield Message(
        "jmrp",
        "COMPLAINT",
        _mail(Head("<staff@hotmail.com>", f"complaint about message from {IP}"), 'multipart/mixed; boundary="=_b"', body),
    )


def _people() -> Iterator[Message]:
    for subject, text in (
        ("Re: Last rooms", "Do you have a room with a view in May?"),
        ("Last rooms", "Please call me back."),
        ("Question", "Is breakfast included?"),
    ):
        yield Message(
            f"person {subject}", "OTHER", _plain(Head(f"Ann Vos <{TO}>", subject), text).replace(b"Return-Path: <>\r\n", b"")
        )


def corpus(seed: int = 1) -> list[Message]:
    """All of it: each shape of failure with 18 replies, each reply with at least three shapes."""
    chance = random.Random(seed)
    found: list[Message] = []
    order = REPLIES[:]
    for place, shape in enumerate(FAILURES):
        chance.shuffle(order)
        chosen = {id(said): said for said in order[:15]}
        # Every reply comes up three times at least.
        chosen |= {
            id(said): said
            for number, said in enumerate(REPLIES)
            if number % len(FAILURES) in {place, (place + 9) % 27, (place + 17) % 27}
        }
        found += [
            Message(f"{shape.__name__} {said.server} {said.said[:60]}", said.kind, shape(said)) for said in chosen.values()
        ]
    return [*found, *_delays(), *_receipts(), *_answers(), *_complaints(), *_people()]
