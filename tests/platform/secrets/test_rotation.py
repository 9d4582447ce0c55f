"""Keys before and after a new one: what processes that were there, and those that come, can open and recognise."""

import resource
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tabellion.kit.newfile import NotWritten
from tabellion.platform import secrets
from tabellion.platform.secrets import KeyUnusable, SecretUnreadable, ring
from tabellion.platform.secrets.ring import Source

FILE = "secret.key"


@pytest.fixture(autouse=True)
def key(tmp_path: Path) -> Iterator[None]:
    secrets.use_key("", tmp_path)
    yield
    secrets.use_key("of the tests", tmp_path)


def rotate(folder: Path) -> None:
    """As another process does."""
    ring.write(folder / FILE, Source("", folder).ring().rotated())


def of_another_process(folder: Path) -> tuple[bytes, bytes]:
    """What one that has begun just now seals."""
    found = Source("", folder).ring().sealing
    return b"n" * 12 + found.cipher.encrypt(b"n" * 12, b"new", b"x"), secrets._mac(found, b"data", "x")


def test_a_process_opens_at_once_what_is_sealed_with_a_key_that_it_has_not_read(tmp_path: Path) -> None:
    old, seal, hashed = secrets.seal_raw("old", "x"), secrets.mac(b"data", "x"), secrets.lasting_mac(b"data", "x")
    (former,) = secrets.fingerprints()
    rotate(tmp_path)
    raw, new = of_another_process(tmp_path)
    assert new != seal
    assert secrets.fits(b"data", "x", new)
    assert secrets.unseal_raw(raw, "x") == "new"
    assert secrets.unseal_raw(old, "x") == "old"
    assert (secrets.key_of(raw, "x"), secrets.key_of(old, "x")) == tuple(secrets.fingerprints())
    assert secrets.fits(b"data", "x", seal)
    assert secrets.fits(b"data", "x", seal[:14])
    assert not secrets.fits(b"data", "x", seal[:13])
    assert not secrets.fits(b"data", "x", seal, key=secrets.fingerprints()[0])
    assert secrets.fits(b"data", "x", seal, key=former)
    assert (secrets.mac(b"data", "x"), secrets.lasting_mac(b"data", "x")) == (new, hashed)


def test_a_process_that_opens_nothing_seals_with_the_new_key_after_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "LOOK_EVERY_S", 0.0)
    secrets.use_key("", tmp_path)
    before = secrets.fingerprints()
    rotate(tmp_path)
    assert secrets.fingerprints()[1:] == before
    assert secrets.signer("x")[0] != before[0]


def test_a_key_that_is_taken_away_opens_nothing_and_goes_on_hashing(tmp_path: Path) -> None:
    old, seal, hashed = secrets.seal_raw("old", "x"), secrets.mac(b"data", "x"), secrets.lasting_mac(b"data", "x")
    (first,) = secrets.fingerprints()
    for _ in range(2):
        rotate(tmp_path)
    second = Source("", tmp_path).ring().opening[1].fingerprint
    for gone in (first, second):
        ring.write(tmp_path / FILE, Source("", tmp_path).ring().without(gone))
    secrets.use_key("", tmp_path)
    assert len(secrets.fingerprints()) == 1
    assert not secrets.fits(b"data", "x", seal)
    with pytest.raises(SecretUnreadable):
        secrets.unseal_raw(old, "x")
    assert secrets.lasting_mac(b"data", "x") == hashed
    rotate(tmp_path)
    secrets.use_key("", tmp_path)
    assert secrets.lasting_mac(b"data", "x") == hashed


def test_keys_of_the_settings(tmp_path: Path) -> None:
    secrets.use_key("one", tmp_path)
    old, hashed = secrets.seal_raw("old", "x"), secrets.lasting_mac(b"data", "x")
    secrets.use_key("three", tmp_path, ["two", "one"])
    assert (secrets.unseal_raw(old, "x"), secrets.lasting_mac(b"data", "x")) == ("old", hashed)
    assert secrets.fingerprints() == [secrets.fingerprint(each, tmp_path) for each in ("three", "two", "one")]
    # One that is to come is read before anybody seals with it, and hashes stay what they were.
    secrets.use_key("one", tmp_path, ["two", "one"])
    assert secrets.fingerprints() == [secrets.fingerprint(each, tmp_path) for each in ("one", "two")]
    assert secrets.lasting_mac(b"data", "x") == hashed
    secrets.use_key("three", tmp_path, ["hashes:one"])
    assert secrets.lasting_mac(b"data", "x") == hashed
    with pytest.raises(SecretUnreadable):
        secrets.unseal_raw(old, "x")


def test_the_file_is_for_its_owner_and_a_damaged_one_is_told_at_any_length(tmp_path: Path) -> None:
    (tmp_path / FILE).rename(tmp_path / "elsewhere")
    (tmp_path / FILE).symlink_to(tmp_path / "elsewhere")
    rotate(tmp_path)
    assert (tmp_path / FILE).is_symlink()
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    content = (tmp_path / FILE).read_bytes()
    for length in range(len(content)):
        (tmp_path / FILE).write_bytes(content[:length])
        if length != 32:
            with pytest.raises(KeyUnusable, match=f"is damaged.* this file {length} "):
                secrets.check_key("", tmp_path)
    # A process that works goes on with the keys that it has.
    known = secrets.seal_raw("known", "x")
    with pytest.raises(SecretUnreadable):
        secrets.unseal_raw(b"n" * 40, "x")
    assert secrets.unseal_raw(known, "x") == "known"
    (tmp_path / FILE).unlink()
    with pytest.raises(SecretUnreadable):
        secrets.unseal_raw(b"n" * 40, "x")
    assert secrets.unseal_raw(known, "x") == "known"


def test_a_full_disk_leaves_the_keys_as_they_were(tmp_path: Path) -> None:
    before, limits = (tmp_path / FILE).read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40, limits[1]))
    try:
        with pytest.raises(NotWritten, match="is full: no key was made"):
            rotate(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / FILE).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
