"""Signatures under the eyes of others: dkimpy, and OpenDKIM where it is installed (`make dkim` sees to that)."""

import os
import random
import re
import shutil
import subprocess
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import dkim
import pytest

from tabellion.platform.mail import Attachment, Mail, Signer, compose, new_key

MAILS = int(os.environ.get("TABELLION_DKIM_MAILS", "200"))
# OpenDKIM takes the names of files as one argument, which has 128 kB at most.
_AT_ONCE = 1000
_OPENDKIM = shutil.which("opendkim", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
_PIECES = (
    "word", " ", "  ", "\t", "\n", "\n\n", ".", "\n.", "\nFrom ", "=20", "é", "你好", "😀", "x" * 70, "y" * 900, " \n", "&nbsp;", "--",
)  # fmt: skip


class Kind(NamedTuple):
    """A key that mails are signed by, and its record in the DNS."""

    signer: Signer
    name: str
    record: str


class Signed(NamedTuple):
    """A mail with its signature; `good`: as it was signed."""

    raw: bytes
    good: bool


@pytest.fixture(scope="module")
def kinds() -> list[Kind]:
    made: list[Kind] = []
    for kind in ("rsa", "ed25519"):
        pem, record = new_key(kind)
        made.append(Kind(Signer("example.com", kind, pem), f"{kind}._domainkey.example.com", record))
    return made


@pytest.fixture(scope="module")
def mails(kinds: list[Kind]) -> list[Signed]:
    """Mails with what texts may have; the unsubscribe header of each tenth was changed on its way."""
    chance = random.Random(29)
    made: list[Signed] = []
    spent = 0.0
    for number in range(MAILS):
        mail = compose(_mail(number, chance))
        started = time.perf_counter()
        raw = bytes(kinds[number % 2].signer.sign(mail))
        spent += time.perf_counter() - started
        good = number % 10 != 0
        made.append(Signed(raw if good else raw.replace(b"mailto:u-", b"mailto:v-"), good))
    octets = sum(len(each.raw) for each in made) // MAILS
    print(f"\nsigned: {MAILS:,} mails of {octets:,} octets on average, {spent / MAILS * 1000:.2f} ms each")
    return made


def _mail(number: int, chance: random.Random) -> Mail:
    def text(most: int) -> str:
        return "".join(chance.choices(_PIECES, k=chance.randrange(most)))

    page, address = f"https://news.example.com/t/u/{'x' * 39}", f"u-{'a' * 47}@bounces.example.com"
    html = "" if number % 7 == 0 else f"<html><body><p>{text(200)}</p></body></html>\n"
    return Mail(
        sender="news@example.com",
        sender_name=" ".join(text(6).split()),
        recipient=f"g{number}@example.org",
        subject=" ".join(text(20).split()),
        text=text(200).encode(),
        html=html.encode(),
        date=datetime.now(UTC),
        message_id=f"1.2.{number}@example.com",
        extra=(
            ("List-Unsubscribe", f"<{page}>, <mailto:{address}?subject=unsubscribe>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ),
        attachments=(Attachment("a.bin", "application/octet-stream", chance.randbytes(500)),) if number % 5 == 0 else (),
    )


def test_dkimpy_takes_what_is_as_it_was_signed_and_nothing_else(kinds: list[Kind], mails: list[Signed]) -> None:
    records = {f"{kind.name}.".encode(): kind.record.encode() for kind in kinds}

    def dns(name: bytes, timeout: int = 5) -> bytes:
        return records[name]

    found = [dkim.verify(each.raw, dnsfunc=dns) for each in mails]
    assert _told(found, mails) == []


@pytest.mark.skipif(_OPENDKIM is None, reason="OpenDKIM is not installed; `make dkim` installs it")
def test_opendkim_does_too(kinds: list[Kind], mails: list[Signed], tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("".join(f"{kind.name} {kind.record}\n" for kind in kinds))
    (tmp_path / "conf").write_text(f"Mode v\nTestPublicKeys {tmp_path / 'keys'}\n")
    for number, each in enumerate(mails):
        (tmp_path / str(number)).write_bytes(each.raw)
    said: dict[int, bool] = {}
    for first in range(0, MAILS, _AT_ONCE):
        names = ",".join(map(str, range(first, min(first + _AT_ONCE, MAILS))))
        command = [str(_OPENDKIM), "-x", "conf", "-t", names]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True)
        for number, outcome in re.findall(
            r"^opendkim: (\d+): verification .* (succeeded|failed)", run.stdout + run.stderr, re.MULTILINE
        ):
            said[int(number)] = outcome == "succeeded"
    assert len(said) == MAILS
    assert _told([said[number] for number in range(MAILS)], mails) == []


def _told(found: Iterable[bool], mails: list[Signed]) -> list[int]:
    """The numbers of mails of which something else was found than is so."""
    return [number for number, (taken, each) in enumerate(zip(found, mails, strict=True)) if taken is not each.good]
