"""What mails that come back are taken for."""

import random
import re
import time
from collections import Counter

import pytest

from tabellion.features.bounces.model import Finding, Kind, Rules, enough_accepted
from tabellion.features.bounces.reading import read, read_reply
from tests.support.bounce_corpus import BACK, TO, Head, _plain, complaint, corpus
from tests.support.bounce_replies import REPLIES

CORPUS = corpus()
_REPORTS = re.compile(rb"report-type=(?:delivery-status|feedback-report)")


def test_the_corpus_is_understood() -> None:
    wrong = [(m.name, m.kind, found) for m in CORPUS if (found := read(m.raw)).kind.value != m.kind]
    assert len(CORPUS) >= 800
    assert len({said.server for said in REPLIES}) >= 45
    assert min(Counter(message.kind for message in CORPUS).values()) >= 6
    assert len(wrong) <= len(CORPUS) * 0.02, wrong


def test_reports_by_the_standard_are_understood_whatever_their_lines_end_with_and_their_texts_are_written_in() -> None:
    standard = [message for message in CORPUS if _REPORTS.search(message.raw)]
    assert len(standard) >= 300
    wrong = []
    for message in standard:
        for changed in (
            message.raw.replace(b"\r\n", b"\n"),
            message.raw.replace(b"charset=utf-8", b"charset=x-unknown-8bit"),
        ):
            if (found := read(changed)).kind.value != message.kind:
                wrong.append((message.name, message.kind, found))
    assert len(wrong) <= len(standard) * 2 * 0.02, wrong


def test_what_is_found_says_why() -> None:
    found = read(next(m.raw for m in CORPUS if m.name.startswith("postfix ") and m.kind == "HARD" and "5.1.1 <" in m.name))
    assert (found.kind, found.status) == (Kind.HARD, "5.1.1")
    assert (TO in found.text and "User unknown" in found.text) or "rejected" in found.text
    hostile = _plain(
        Head("MAILER-DAEMON@x", "failure notice"), f"{TO}: 550 no such user \0\x1b[31m<script>\u202e " + "x" * 5000
    )
    text = read(hostile).text
    assert len(text) <= 300
    assert text.isprintable()


def test_the_words_of_a_mail_that_was_returned_say_nothing() -> None:
    """The corpus's returned mails speak of spam, full mailboxes and blocked dates."""
    nothing = _plain(
        Head("MAILER-DAEMON@x", "failure notice"),
        "Your message could not be delivered, I am sorry to say so.\n\n--- Below this line is a copy of the message.\n\n"
        "Subject: no such user\n\nUser unknown. Mailbox does not exist. 550 5.1.1 user unknown\n",
    )
    assert read(nothing).kind is Kind.SOFT


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("550 5.1.1 unknown", Kind.HARD),
        ("550 no", Kind.HARD),
        ("552 over quota", Kind.SOFT),
        ("452 4.2.2 mailbox full", Kind.SOFT),
        ("554 5.7.1 rejected as spam", Kind.BLOCK),
        ("421 4.7.0 too many connections", Kind.BLOCK),
        ("554 something", Kind.SOFT),
        ("", Kind.SOFT),
    ],
)
def test_replies(reply: str, kind: Kind) -> None:
    assert read_reply(reply).kind is kind


def test_nothing_that_is_sent_breaks_the_reading() -> None:
    """3,000 mutated messages: cut, doubled, bytes changed, boundaries and encodings broken."""
    chance = random.Random(7)
    words = [b"\r\n", b"--=_b", b"--=_b--", b"boundary=", b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n", b"\0", b"\xff\xfe",
             b"=?utf-8?q?=", b"=?x?b?", b"charset=", b"base64", b"5.1.1", b"<", b">", b":", b";", b'"', b" " * 50, b"(" * 20]  # fmt: skip
    seen: Counter[str] = Counter()
    for number in range(3000):
        raw = bytearray(CORPUS[number % len(CORPUS)].raw)
        for _ in range(chance.randint(1, 6)):
            place = chance.randrange(len(raw) + 1)
            match chance.randrange(5):
                case 0:
                    del raw[place : place + chance.randint(1, 400)]
                case 1:
                    raw[place:place] = chance.choice(words)
                case 2:
                    raw[place : place + 1] = bytes([chance.randrange(256)])
                case 3:
                    other = CORPUS[chance.randrange(len(CORPUS))].raw
                    raw[place:place] = other[chance.randrange(len(other)) :][:500]
                case _:
                    raw += raw[place : place + 300]
        found = read(bytes(raw), chance.choice([None, "", "a@example.org"]))
        assert isinstance(found, Finding)
        assert found.text.isprintable()
        seen[found.kind.value] += 1
    # Most of them still say what they said.
    assert seen["HARD"] > 500, seen


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n" * 250_000,
        b'Content-Type: multipart/mixed; boundary="' + b";" * 500_000,
        b"Content-Type: multipart/mixed; " + b'a="b;";' * 70_000,
        b"From: MAILER-DAEMON\r\nSubject: failure\r\n\r\n" + b"user" * 125_000,
        b"From: MAILER-DAEMON\r\nSubject: failure\r\n\r\n" + b"address " * 60_000,
        b"From: MAILER-DAEMON\r\nSubject: failure\r\n\r\n" + b"quota is " * 50_000,
        b"From: MAILER-DAEMON\r\nSubject: failure\r\n\r\n" + b"\n" * 500_000,
        b"From: MAILER-DAEMON\r\nSubject: failure\r\n\r\n" + b"5.1.1" * 100_000,
        b"From: MAILER-DAEMON\r\nSubject: failure\r\n\r\n" + b"said " * 100_000,
        b"From: MAILER-DAEMON\r\nContent-Type: text/html\r\n\r\n" + b"<" * 500_000,
        b"From: MAILER-DAEMON\r\nContent-Type: text/html\r\n\r\n" + b"<p>" * 170_000,
        b"Subject: " + b"=?utf-8?q?a?= " * 35_000 + b"\r\n\r\n",
        b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(5_000)),
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 60_000,
        b"Content-Type: message/delivery-status\r\n\r\n" + b"a: b\r\n\r\n" * 60_000,
        b"Content-Type: message/delivery-status\r\n\r\nAction: failed\r\n" + b" x\r\n" * 120_000,
        b"Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n--b\r\n\r\nfeedback-type:" * 5_000,
    ],
)  # fmt: skip
def test_nobody_can_make_the_reading_long(raw: bytes) -> None:
    began = time.process_time()
    read(raw, "")
    assert time.process_time() - began < 3


def test_a_complaint_that_is_none() -> None:
    for kind in ("not-spam", "auth-failure"):
        assert read(complaint(kind)).kind is Kind.OTHER
    assert BACK.encode() in complaint()


def test_rules() -> None:
    assert Rules() == Rules(5, Rules().within)
    assert [enough_accepted(complaints) for complaints in (4, 5, 30, 31)] == [0, 1667, 10_000, 10_334]
