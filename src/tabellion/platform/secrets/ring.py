"""The keys of a server: one that seals, those of before that still open, and the one that hashes are made with.

They are the operator's settings, or the file `secret.key`: 32 octets as long as there is one key, and lines of text after a
rotation (docs/adr/0074-rotating-keys.md).
"""

import hashlib
import hmac
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tabellion.kit import newfile
from tabellion.kit.disk import sync_folder

FILE = "secret.key"
# Of a former key in the settings that opens nothing any more: hashes of erased people are made with it.
HASHES_ONLY = "hashes:"
_KEY_BYTES = 32
_FINGERPRINT_DIGITS = 16
_FIRST = "# Keys of Tabellion: the first one seals, the others open what it has not sealed. See: tabellion key --help"
_TEXT = re.compile(
    rf"{re.escape(_FIRST)}\nseals (?P<seals>[0-9a-f]{{64}})\n"
    r"(?P<opens>(?:opens [0-9a-f]{64}\n)*)(?:hashes (?P<hashes>[0-9a-f]{64})\n)?end\n"
)


class KeyUnusable(Exception):
    """The file of the key holds none; the message names it and says what to do."""


class Key:
    """One secret of 32 octets, and what is made of it: the database has none of them."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.cipher = AESGCM(raw)
        # Another key for another purpose, from the same secret.
        self.for_macs = hmac.digest(raw, b"mac", "sha256")
        # What tells it from others, and does not tell it.
        self.fingerprint = hmac.digest(raw, b"fingerprint", "sha256").hex()[:_FINGERPRINT_DIGITS]


class Ring(NamedTuple):
    """All keys. The first of `opening` seals. `hashing` is the first that there was, and stays through all rotations."""

    opening: tuple[Key, ...]
    hashing: Key

    @property
    def sealing(self) -> Key:
        """The key of what is sealed from now on."""
        return self.opening[0]

    def rotated(self) -> Self:
        """With a new key before all others."""
        return self._replace(opening=(Key(os.urandom(_KEY_BYTES)), *self.opening))

    def without(self, fingerprint: str) -> Self:
        """Without a former key. Where it was the one for hashes, it is for them alone."""
        kept = (key for key in self.opening[1:] if key.fingerprint != fingerprint)
        return self._replace(opening=(self.sealing, *kept))


class Source(NamedTuple):
    """Where keys come from: the operator's `text`, with `former` ones, or the file in `data_dir` where there is no text."""

    text: str
    data_dir: Path
    former: Sequence[str] = ()

    @property
    def file(self) -> Path | None:
        """The file of the keys; None: they are in the settings."""
        return None if self.text else self.data_dir / FILE

    @property
    def exists(self) -> bool:
        """Whether there is a key already."""
        return self.file is None or self.file.exists()

    def ring(self) -> Ring:
        """The keys; one is made where there is none. Raises `KeyUnusable`."""
        if self.file is not None:
            return parse(_kept(self.file), self.file)
        # Each once: a key that is to come stands among the others before it takes the first one's place.
        texts = dict.fromkeys([self.text, *(each for each in self.former if not each.startswith(HASHES_ONLY))])
        first = self.former[-1].removeprefix(HASHES_ONLY) if self.former else self.text
        return Ring(tuple(map(_of_text, texts)), _of_text(first))


def write(path: Path, ring: Ring) -> None:
    """Put these keys in the place of those in the file, whole or not at all. Raises `NotWritten`, `OSError`."""
    lines = [_FIRST, f"seals {ring.sealing.raw.hex()}", *(f"opens {key.raw.hex()}" for key in ring.opening[1:])]
    if ring.hashing.fingerprint != ring.opening[-1].fingerprint:
        lines.append(f"hashes {ring.hashing.raw.hex()}")
    # Where the operator has put it.
    path = path.resolve()
    before = path.stat()
    with newfile.written(path, force=True, what="key") as file:
        file.write(("\n".join([*lines, "end"]) + "\n").encode())
        if os.geteuid() == 0:
            os.fchown(file.fileno(), before.st_uid, before.st_gid)


def _of_text(text: str) -> Key:
    return Key(hashlib.sha256(text.encode()).digest())


def parse(found: bytes, path: Path) -> Ring:
    """The keys in what was found in a file. Raises `KeyUnusable`, which names it."""
    if len(found) == _KEY_BYTES:
        key = Key(found)
        return Ring((key,), key)
    text = _TEXT.fullmatch(found.decode("latin-1"))
    if text is None:
        raise KeyUnusable(
            f"{path.absolute()} is damaged: a key has {_KEY_BYTES} bytes, and this file {len(found)} that 'tabellion key' "
            "has not written. Put it back from a backup; where there is none, move the file away and a new key is made: "
            "passwords, DKIM keys and webhooks' secrets have to be set anew then"
        )
    opening = tuple(Key(bytes.fromhex(each)) for each in re.findall(r"[0-9a-f]{64}", text["seals"] + text["opens"]))
    return Ring(opening, Key(bytes.fromhex(text["hashes"])) if text["hashes"] else opening[-1])


def _kept(path: Path) -> bytes:
    """What is in the file, which is made with one key; several processes may be the first at once."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        partial = path.with_name(f"{FILE}.{os.getpid()}")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(os.urandom(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            # Unlike a renaming, a link does not replace the key that another process has made meanwhile.
            path.hardlink_to(partial)
            # Before anything is sealed with it: the database keeps what it has said, over a power cut as well.
            sync_folder(path.parent)
        except FileExistsError:
            pass
        finally:
            partial.unlink()
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyUnusable(f"{path.absolute()} cannot be read ({error.strerror}): give it to the server's user") from None
