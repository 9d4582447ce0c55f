"""Hostile values for headers: two parsers of different make read the headers that were meant, and no other.

The suite tries 2,000; `make hostile-mail` (TABELLION_HEADERS=20000) more. The second parser is fast-mail-parser (mailparse, in Rust).
"""

import email
import os
import random
import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from email import policy

from fast_mail_parser import parse_email

from tabellion.platform.mail import Attachment, Mail, Unsendable, address_of, compose, one_line
from tabellion.platform.templates import Cages, Part, PartKind, Rendered, Template

COUNT = int(os.environ.get("TABELLION_HEADERS", "2000"))
SEED = int(os.environ.get("TABELLION_SEED", "20261126"))
NOW = datetime(2027, 3, 1, 8, 15, tzinfo=UTC)
MEANT = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "List-Id",
    "List-Unsubscribe",
    "MIME-Version",
    "Content-Type",
]
BREAKS = [
    "\r\n", "\n", "\r", "\n\n", "\r\n\r\n", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\0", "\r\n ", "\r\n\t",
    "%0d%0a", "\\r\\n", "=0D=0A", "=?utf-8?q?=0D=0A?=", "=?utf-8?b?DQo=?=", "=?utf-7?q?+AA0ACg-?=", "\u560a\u560d", "\uff0d\uff0a",
    "&#13;&#10;", "\ufeff", "\u202e", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), "",
]  # fmt: skip
INJECTED = [
    "Bcc: victim@example.org", "X-Injected: yes", "Content-Type: text/html", "Content-Transfer-Encoding: base64", "To: a@b.c, d@e.f",
    "DKIM-Signature: v=1", "Subject: other", "From: ceo@example.org", "Received: by evil", "<script>", ".MAIL FROM:<x@y.z>",
    "--=_312e322e33", "Sender: x@example.org", "Resent-To: x@example.org", ": empty", "List-Unsubscribe: <https://evil.example>",
]  # fmt: skip
WORDS = [
    "Spring",
    "Zoë",
    "\u4f60\u597d",
    '"',
    "<>",
    "@",
    ",",
    ";",
    "(",
    ")",
    "\\",
    "=?",
    "?=",
    "a" * 300,
    "  ",
    "\t",
    "é" * 90,
    "",
    "x@y.z>",
]


OPEN = [each for each in BREAKS if one_line(each)]


def hostile(chance: random.Random) -> str:
    """Every other one without the control characters that are refused as such."""
    parts: list[str] = []
    bare = chance.random() < 0.5
    for _ in range(chance.randrange(1, 4)):
        parts += [
            chance.choice(WORDS),
            chance.choice(BREAKS if bare else OPEN),
            chance.choice(INJECTED if chance.random() < 0.7 else WORDS),
        ]
    if bare and chance.random() < 0.2:
        parts.append("".join(chr(chance.choice([chance.randrange(0x20), chance.randrange(0x7F, 0xA0)])) for _ in range(3)))
    return "".join(parts)


def mail(**changes: object) -> Mail:
    values: dict[str, object] = {
        "sender": "news@example.com", "sender_name": "Harbour", "recipient": "ann@example.org", "reply_to": "reply@example.com",
        "subject": "Spring", "text": b"Dear Ann\n", "html": b"<p>Dear Ann</p>\n", "date": NOW, "message_id": "1.2.3@example.com",
        "extra": (("List-Id", "<7.1.example.com>"), ("List-Unsubscribe", "<https://news.example.com/t/u/abc>")),
    }  # fmt: skip
    return Mail(**(values | changes))  # type: ignore[arg-type]


FIELDS: dict[str, Callable[[str], Mail]] = {
    "subject": lambda value: mail(subject=value),
    "from": lambda value: mail(sender=value),
    "display name": lambda value: mail(sender_name=value),
    "reply-to": lambda value: mail(reply_to=value),
    "to": lambda value: mail(recipient=value),
    "address": lambda value: mail(recipient=address_of(value) or value),
    "list-id": lambda value: mail(extra=(("List-Id", value), mail().extra[1])),
    "list-unsubscribe": lambda value: mail(
        extra=(mail().extra[0], ("List-Unsubscribe", f"<https://news.example.com/{value}>"))
    ),
    "attachment": lambda value: mail(attachments=(Attachment(value, "text/plain", b"x"),)),
    "media type": lambda value: mail(attachments=(Attachment("a.txt", value, b"x"),)),
}


def look(raw: bytes, made: Mail) -> None:
    """Both parsers see the headers that were meant, and the body that was."""
    assert re.search(rb"(?<!\r)\n|\r(?!\n)|\0", raw) is None
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    wanted = [name for name in MEANT if name != "Reply-To" or made.reply_to]
    first = email.message_from_bytes(raw, policy=policy.default)
    assert first.keys() == wanted, raw
    assert not first.defects
    # This one is asked for the headers of the top only, as it lists those of all parts.
    second = parse_email(raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    assert sorted(second.headers) == sorted(wanted), raw
    assert all(len(values) == 1 for values in second.headers.values())
    assert first["From"].addresses[0].addr_spec == made.sender
    assert "".join(first["From"].addresses[0].display_name.split()) == "".join(made.sender_name.split())
    body = first.get_body(("plain",))
    assert body is not None
    assert body.get_content().replace("\r\n", "\n") == "Dear Ann\n"
    assert len(list(first.iter_attachments())) == len(made.attachments)
    assert parse_email(raw).text_plain[0].replace("\r\n", "\n").startswith("Dear Ann")
    assert "".join(str(first["Subject"]).split()) == "".join(made.subject.split())


def test_no_hostile_value_brings_a_header_along() -> None:
    chance = random.Random(SEED)
    fates: Counter[str] = Counter()
    for _ in range(COUNT):
        field, value = chance.choice(list(FIELDS)), hostile(chance)
        made = FIELDS[field](value)
        try:
            raw = compose(made)
        except Unsendable:
            fates["refused"] += 1
            continue
        look(raw, made)
        fates["sent"] += 1
    print(f"seed {SEED}: {COUNT:,} hostile values of headers: {dict(fates)}")
    assert min(fates["refused"], fates["sent"]) > COUNT // 20


async def test_values_of_profiles_in_a_subject_stay_in_its_line() -> None:
    """What people wrote about themselves is printed as one line, whatever it holds."""
    chance = random.Random(SEED + 1)
    part = Part("subject", PartKind.LINE, "{{ profile.lastName }}, {{ profile.city | default: 'you' | upcase }}: spring")
    contexts = [{"profile": {"lastName": hostile(chance), "city": hostile(chance)}} for _ in range(COUNT // 2)]
    sent = 0
    async with Cages(1) as cages:
        for context, outcome in zip(contexts, await cages.render(Template((part,)), contexts, now=NOW), strict=True):
            assert isinstance(outcome, Rendered)
            made = mail(subject=outcome.parts[0].decode().strip())
            try:
                raw = compose(made)
            except Unsendable:
                assert re.search(
                    "[\x00-\x1f\x7f-\x9f\u2028\u2029]", context["profile"]["lastName"] + context["profile"]["city"]
                )
                continue
            look(raw, made)
            sent += 1
    print(f"{len(contexts):,} subjects made of hostile profiles: {sent:,} left")
    assert sent > len(contexts) // 3
