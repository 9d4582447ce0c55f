"""Mails as bytes: a second parser reads what was meant, whatever stands in them, and nothing more."""

import email
import re
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from typing import Any

import dkim
import pytest
from dkim.canonicalization import Relaxed
from hypothesis import given, settings
from hypothesis import strategies as st

from tabellion.platform.mail import (
    Attachment,
    Mail,
    Signer,
    Unsendable,
    address_of,
    compose,
    new_key,
    normal_form,
)
from tabellion.platform.mail.dkim import relaxed_body
from tabellion.platform.mail.exchange import stuffed

NAMES = ["From", "To", "Subject", "Date", "Message-ID", "Reply-To", "List-Unsubscribe", "MIME-Version", "Content-Type"]
UNSUBSCRIBE = f"<https://news.example.com/t/u/{'x' * 60}>"


def mail(**changes: Any) -> Mail:
    """A mail that is fine."""
    values: dict[str, Any] = {
        "sender": "news@example.com",
        "sender_name": "Harbour Hotels",
        "recipient": "ann@example.org",
        "reply_to": "reply@example.com",
        "subject": "Spring is here",
        "text": b"Dear Ann\n",
        "html": b"<p>Dear Ann</p>",
        "date": datetime(2027, 3, 1, 8, 15, tzinfo=UTC),
        "message_id": "1.2.3@example.com",
        "extra": (("List-Unsubscribe", UNSUBSCRIBE),),
    }
    return Mail(**(values | changes))


def parsed(raw: bytes) -> EmailMessage:
    assert b"\r\n" in raw
    assert re.search(rb"(?<!\r)\n|\r(?!\n)", raw) is None
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    return email.message_from_bytes(raw, policy=policy.default)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=400)
lines = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=200).map(str.strip)


@settings(max_examples=300, deadline=None)
@given(subject=lines, name=lines, text=texts, html=texts)
def test_what_goes_in_comes_out(subject: str, name: str, text: str, html: str) -> None:
    made = compose(mail(subject=subject, sender_name=name, text=text.encode(), html=html.encode()))
    # Nobody looks at its line ends again before it leaves.
    assert stuffed(made) == stuffed(bytes(made))
    read = parsed(made)
    # Without HTML it is the text alone.
    assert read.keys() == (NAMES if html else [*NAMES, "Content-Transfer-Encoding"])
    assert read.is_multipart() == bool(html)
    # Folding may turn several blanks into one; mail programs do not tell them apart.
    assert "".join(read["Subject"].split()) == "".join(subject.split())
    assert read["From"].addresses[0].addr_spec == "news@example.com"
    for kind, wanted in (("plain", text), *([("html", html)] if html else [])):
        got = read.get_body((kind,)).get_content()
        assert got.replace("\r\n", "\n").rstrip("\n") == wanted.replace("\r", "\n").rstrip("\n")


def test_no_line_begins_as_mailboxes_begin_mails() -> None:
    text = f"From us\nfor you\nFrom the sea \u00fc\nFrom {'x' * 71}\nFrom From {'x' * 71}\n"
    for made in (compose(mail(text=text.encode(), html=b"")), compose(mail(text=text[:16].encode(), html=text.encode()))):
        assert re.search(rb"^From ", made.partition(b"\r\n\r\n")[2], re.MULTILINE) is None
        assert max(map(len, made.partition(b"\r\n\r\n")[2].split(b"\r\n"))) <= 76
        assert parsed(made).get_body(("html", "plain")).get_content().replace("\r\n", "\n") == text


HOSTILE = ["a\r\nBcc: x@example.com", "a\nb", "a\rb", "a\0b", "a\x0bb", "a\u2028b", "a\x85b", "\r\n\r\nbody", "a\x7fb"]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("field", ["subject", "sender_name", "sender", "recipient", "reply_to"])
def test_no_value_brings_a_header_along(field: str, value: str) -> None:
    with pytest.raises(Unsendable):
        compose(mail(**{field: value}))


@settings(max_examples=500, deadline=None)
@given(value=st.text(max_size=80), field=st.sampled_from(["subject", "sender_name", "recipient", "reply_to"]))
def test_whatever_is_written_there_are_the_headers_that_were_meant(value: str, field: str) -> None:
    try:
        raw = compose(mail(**{field: value}))
    except (Unsendable, UnicodeEncodeError):
        return
    names = parsed(raw).keys()
    assert names == ([name for name in NAMES if name != "Reply-To"] if field == "reply_to" and not value else NAMES)


def test_encodings() -> None:
    read = parsed(
        compose(mail(text="caf\u00e9 \u4f60".encode(), html="<p>caf\u00e9 \u4f60</p>".encode(), charset="iso-8859-1"))
    )
    assert "caf\u00e9 &#20320;" in read.get_body(("html",)).get_content()
    assert read.get_body(("html",)).get_content_charset() == "iso-8859-1"
    # What the encoding lacks has no name in a plain text.
    assert "caf\u00e9 \u4f60" in read.get_body(("plain",)).get_content()


def test_attachments() -> None:
    files = (
        Attachment("facture é.pdf", "application/pdf", bytes(range(256)) * 20),
        Attachment('a"b.txt', "text/plain", b"x"),
    )
    read = parsed(compose(mail(attachments=files)))
    assert [(part.get_filename(), part.get_content_type()) for part in read.iter_attachments()] == [
        ("facture é.pdf", "application/pdf"),
        ("a_b.txt", "text/plain"),
    ]
    assert next(read.iter_attachments()).get_content() == bytes(range(256)) * 20


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ann@example.com", "ann@example.com"),
        ("ann@b\u00fccher.example", "ann@xn--bcher-kva.example"),
        ("J\u00f6rg@example.com", None),
        ("a b@example.com", None),
        ("<a@example.com>", None),
        ("a@example.com, b@example.com", None),
        ("a@example.com\r\nRCPT TO:<b@example.com>", None),
        ("nobody", None),
        ("", None),
        ("a" * 400 + "@example.com", None),
    ],
)
def test_addresses(text: str, address: str | None) -> None:
    assert address_of(text) == address


def test_addresses_are_compared_by_one_form() -> None:
    forms = ("Ann@exämple.com", "ANN@EXÄMPLE.COM", "ann@Exämple.Com", "ann@xn--exmple-cua.com", " ann@XN--EXMPLE-CUA.com ")
    assert {normal_form(form) for form in forms} == {"ann@xn--exmple-cua.com"}
    # What mails cannot be sent to has one, too.
    assert normal_form(" Jörg@Example.com") == "jörg@example.com"
    assert normal_form("nobody@" + "ä" * 64 + ".com") == "nobody@" + "ä" * 64 + ".com"


KEYS = {kind: new_key(kind) for kind in ("rsa", "ed25519")}
SIGNERS = {kind: Signer("example.com", "s1", key) for kind, (key, _) in KEYS.items()}


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
@settings(max_examples=500, deadline=None)
@given(subject=lines, text=texts, html=texts)
def test_signatures_are_verified_by_another_library(kind: str, subject: str, text: str, html: str) -> None:
    extra = (("List-Unsubscribe", UNSUBSCRIBE), ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
    raw = compose(mail(subject=subject, text=text.encode(), html=html.encode(), extra=extra))
    signed = SIGNERS[kind].sign(raw)

    def dns(name: bytes, timeout: int = 5) -> bytes:
        assert name == b"s1._domainkey.example.com."
        return KEYS[kind][1].encode()

    assert dkim.verify(signed, dnsfunc=dns)
    if not subject:
        assert not dkim.verify(signed.replace(b"One-Click", b"One-Clack"), dnsfunc=dns)
        assert not dkim.verify(b"From: other@example.com\r\n" + signed, dnsfunc=dns)
    head = signed.partition(b"\r\n\r\n")[0].replace(b"\r\n ", b" ")
    assert b"list-unsubscribe:list-unsubscribe-post" in re.search(rb"h=([^;]*)", head)[1]


@settings(max_examples=500, deadline=None)
@given(pieces=st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"a", b".", b"=20", b"word", b"  \t "]), max_size=30))
def test_bodies_are_made_canonical_as_another_library_does(pieces: list[bytes]) -> None:
    body = b"".join(pieces)
    if body and not body.endswith(b"\r\n"):
        body += b"\r\n"
    assert relaxed_body(body) == Relaxed.canonicalize_body(body)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Dear Ann,\nspring is here.", "7bit"),
        ("x" * 890, "7bit"),
        ("x" * 901, "quoted-printable"),
        (f"{'x' * 800}\n{'x' * 901}\n{'x' * 800}", "quoted-printable"),
        ("caf\u00e9 for you", "quoted-printable"),
        ("\u4f60" * 50, "base64"),
        ("Dear Ann,\nFrom now on", "quoted-printable"),
        ("Dear Ann,\n--=_312e322e33406578616d706c652e636f6da\nContent-Type: text/html\n\n<p>x", "quoted-printable"),
    ],
)
def test_texts_travel_as_they_are_where_they_can(text: str, encoding: str) -> None:
    read = parsed(compose(mail(text=text.encode())))
    plain, _ = read.iter_parts()
    assert plain["Content-Transfer-Encoding"] == encoding
    assert plain.get_content().replace("\r\n", "\n") == text + "\n"
