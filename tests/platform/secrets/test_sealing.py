"""What is sealed is opened with its key and for its purpose only."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tabellion.platform import secrets
from tabellion.platform.secrets import KeyUnusable, SecretUnreadable, ring

FILE = "secret.key"


@pytest.fixture(autouse=True)
def key(tmp_path: Path) -> Iterator[None]:
    secrets.use_key("of the tests", tmp_path)
    yield
    secrets.use_key("of the tests", tmp_path)


def test_a_secret_is_opened_for_its_purpose_with_its_key(tmp_path: Path) -> None:
    sealed, again = secrets.seal("pässwörd", "relay 1"), secrets.seal("pässwörd", "relay 1")
    assert sealed != again
    assert "pässwörd".encode() not in secrets.seal_raw("pässwörd", "relay 1")
    assert secrets.unseal(sealed, "relay 1") == secrets.unseal(again, "relay 1") == "pässwörd"
    with pytest.raises(SecretUnreadable, match="TABELLION_SECRET_KEY"):
        secrets.unseal(sealed, "relay 2")
    secrets.use_key("another", tmp_path)
    with pytest.raises(SecretUnreadable) as refusal:
        secrets.unseal(sealed, "relay 1")
    assert (refusal.value.status, refusal.value.code) == (503, "secret.unreadable")
    secrets.use_key("of the tests", tmp_path)
    assert secrets.unseal(sealed, "relay 1") == "pässwörd"


def test_a_sealed_secret_that_was_changed_is_none() -> None:
    raw = secrets.seal_raw("secret", "x")
    for place in range(len(raw)):
        changed = bytearray(raw)
        changed[place] ^= 1
        with pytest.raises(SecretUnreadable):
            secrets.unseal_raw(bytes(changed), "x")


def test_a_seal_on_data_is_of_the_data_the_purpose_and_the_key(tmp_path: Path) -> None:
    seal = secrets.mac(b"data", "one")
    assert len(seal) == 32
    assert secrets.same(seal, secrets.mac(b"data", "one"))
    # A purpose does not run over into the data.
    others = [
        secrets.mac(b"datb", "one"),
        secrets.mac(b"data", "two"),
        secrets.mac(b"edata", "on"),
        secrets.mac(b"", "onedata"),
    ]
    secrets.use_key("another", tmp_path)
    others.append(secrets.mac(b"data", "one"))
    assert not any(secrets.same(seal, other) for other in others)


def test_a_fingerprint_tells_a_key_from_others_and_makes_none(tmp_path: Path) -> None:
    assert secrets.fingerprint("", tmp_path) is None
    assert not (tmp_path / FILE).exists()
    one, other = secrets.fingerprint("one", tmp_path), secrets.fingerprint("two", tmp_path)
    secrets.use_key("", tmp_path)
    kept = secrets.fingerprint("", tmp_path)
    assert len({one, other, kept}) == 3
    assert [len(each or "") for each in (one, other, kept)] == [16, 16, 16]
    assert kept == secrets.fingerprint("", tmp_path)
    assert secrets.fingerprint("one", tmp_path) == one
    assert str(kept) not in (tmp_path / FILE).read_bytes().hex()


def test_who_only_looks_makes_no_key(tmp_path: Path) -> None:
    sealed = secrets.seal("secret", "x")
    secrets.use_key("", tmp_path, at_once=False)
    with pytest.raises(SecretUnreadable):
        secrets.unseal(sealed, "x")
    secrets.check_key("", tmp_path)
    assert not (tmp_path / FILE).exists()
    sealed = secrets.seal("secret", "x")
    assert (tmp_path / FILE).exists()
    secrets.use_key("", tmp_path, at_once=False)
    assert secrets.unseal(sealed, "x") == "secret"


def test_a_key_is_made_once_for_the_servers_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    secrets.use_key("", folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.iterdir()] == [FILE]
    assert not secrets.is_open("", folder)
    key = (folder / FILE).read_bytes()
    assert len(key) == 32
    secrets.use_key("", folder)
    assert (folder / FILE).read_bytes() == key
    for mode, is_open in ((0o640, True), (0o604, True), (0o620, True), (0o700, False)):
        (folder / FILE).chmod(mode)
        assert (secrets.is_open("", folder), secrets.is_open("a text", folder)) == (is_open, False)
    assert not secrets.is_open("", tmp_path)


def test_another_process_that_was_the_first_has_made_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync = os.fsync

    def meanwhile(handle: int) -> None:
        fsync(handle)
        if not (tmp_path / FILE).exists():
            (tmp_path / FILE).write_bytes(b"k" * 32)

    monkeypatch.setattr(os, "fsync", meanwhile)
    assert ring._kept(tmp_path / FILE) == b"k" * 32
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("content", [b"", b"k" * 31, b"k" * 33])
def test_a_file_that_holds_no_key_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(content)
    for look in (secrets.check_key, secrets.use_key, secrets.fingerprint):
        with pytest.raises(KeyUnusable, match=f"this file {len(content)} "):
            look("", tmp_path)
    secrets.check_key("a text", tmp_path)
