"""The file of a backup: what is written is read, and nothing else is."""

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tabellion.platform.database.schema import Applied
from tabellion.server.backup.archive import Reader, Writer, open_backup
from tabellion.server.backup.errors import BackupError
from tabellion.server.backup.manifest import FORMAT, Manifest
from tabellion.server.postgres.clients import environment, find_client
from tabellion.server.postgres.errors import EmbeddedPostgresError

AT = datetime(2027, 3, 1, tzinfo=UTC)
PIECES = [b"a" * 1000, b"b" * 77]
FILE = "spool/import-0123456789abcdef0123456789abcdef/input"


def write(out: io.BytesIO, folder: Path, **changes: Any) -> Manifest:
    (folder / "input").write_bytes(b"emailAddress\nann@example.com\n")
    writer = Writer(out, AT)
    writer.stream("database", iter(PIECES))
    writer.file(FILE, folder / "input")
    facts: dict[str, Any] = {
        "format": FORMAT, "version": "1", "made_at": AT, "postgresql": "18.4", "postgresql_number": 180004, "pg_dump": "18.4",
        "database_bytes": 1, "licences": 1, "migrations": (Applied(1, "core", "x", AT),), "secret_key": "none",
        "key_fingerprint": None, "missing_files": 0, "parts": tuple(writer.parts),
    }  # fmt: skip
    manifest = Manifest(**(facts | changes))
    writer.close(manifest)
    assert writer.bytes == len(out.getvalue())
    return manifest


@pytest.fixture
def archive(tmp_path: Path) -> bytes:
    out = io.BytesIO()
    write(out, tmp_path)
    return out.getvalue()


def reader(content: bytes) -> Reader:
    return Reader(io.BytesIO(content), "x.tar")


def test_it_is_read_as_it_was_written_by_us_and_by_tar(archive: bytes, tmp_path: Path) -> None:
    found = reader(archive)
    found.check()
    assert b"".join(found.read("database")) == b"".join(PIECES)
    assert [(part.name, part.pieces) for part in found.manifest.parts] == [("database", 2), (FILE, 1)]
    (tmp_path / "x.tar").write_bytes(archive)
    pieces = subprocess.run(
        ["tar", "-xOf", "x.tar", "--wildcards", "database/*"], cwd=tmp_path, capture_output=True, check=True
    )
    assert (pieces.stdout, pieces.stderr) == (b"".join(PIECES), b"")
    subprocess.run(["tar", "-xf", "x.tar"], cwd=tmp_path, check=True)
    subprocess.run(["sha256sum", "--check", "--quiet", "manifest.sha256"], cwd=tmp_path, check=True)
    said = {part["name"]: part["sha256"] for part in json.loads((tmp_path / "manifest.json").read_text())["parts"]}
    assert said[FILE] == hashlib.sha256((tmp_path / FILE).read_bytes()).hexdigest()


def test_a_file_that_shrinks_while_it_is_read_keeps_the_length_that_was_said(tmp_path: Path) -> None:
    out = io.BytesIO()
    (tmp_path / "x").write_bytes(os.urandom(3_000_000))

    class Cut(io.BytesIO):
        def write(self, data: Any) -> int:
            os.truncate(tmp_path / "x", 1_500_000)
            return super().write(data)

    cut = Cut()
    Writer(cut, AT).file("spool/a/b", tmp_path / "x")
    with tarfile.open(fileobj=io.BytesIO(cut.getvalue() + bytes(1024))) as found:
        assert [member.size for member in found.getmembers()] == [3_000_000]
    assert out.getvalue() == b""


def test_every_flipped_byte_is_found(archive: bytes) -> None:
    """But for those that say nothing: who owns the entries, and the zeros that fill blocks up."""
    plain = reader(archive)
    parts = [part.name for part in plain.manifest.parts]
    before = {name: b"".join(plain.read(name)) for name in parts}
    for at in range(0, len(archive), 7):
        broken = bytearray(archive)
        broken[at] ^= 0x55
        try:
            found = reader(bytes(broken))
            found.check()
        except BackupError:
            continue
        assert found.manifest == plain.manifest
        assert {name: b"".join(found.read(name)) for name in parts} == before


def test_what_is_cut_off_is_refused_wherever_that_was(archive: bytes) -> None:
    for end in range(0, len(archive) - 1024, 101):
        with pytest.raises(BackupError, match="Nothing was changed"):
            reader(archive[:end]).check()


def _with(content: bytes, info: tarfile.TarInfo, data: bytes = b"") -> bytes:
    info.size = len(data) if info.size == 0 else info.size
    return info.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512) + content


def _link(kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo("spool/a/b")
    info.type, info.linkname = kind, "/etc/passwd"
    return info


def _huge() -> tarfile.TarInfo:
    info = tarfile.TarInfo("spool/a/b")
    info.size = 1 << 60
    return info


@pytest.mark.parametrize(
    "changed",
    [
        *(
            lambda a, name=name: _with(a, tarfile.TarInfo(name), b"x")
            for name in (
                "../../etc/cron.d/x", "/etc/passwd", "spool/../secret.key", "spool/a/../../x", "spool/a/./b", "spool/x", "spool/a/.b",
                "postgres/PG_VERSION", "spool//a/b", "spool/a/b/c/d", "secret.key/x", "spool/a/b\n", "spool/a/b c", "other",
            )
        ),
        *(lambda a, kind=kind: _with(a, _link(kind)) for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE)),
        lambda a: _with(a, _huge()),
        lambda a: _with(a, tarfile.TarInfo("spool/a/b"), b"not in the manifest"),
        lambda a: a[512:],
        lambda a: b"PK\x03\x04" + a,
        lambda a: b"",
        lambda a: bytes(10240),
    ],
)  # fmt: skip
def test_what_no_backup_holds_is_refused(archive: bytes, changed: Callable[[bytes], bytes]) -> None:
    with pytest.raises(BackupError):
        reader(changed(archive)).check()


def test_names_of_a_pax_header_are_not_believed(archive: bytes) -> None:
    info = tarfile.TarInfo("spool/a/b")
    info.pax_headers = {"path": "../../x"}
    with pytest.raises(BackupError, match="which no backup holds"):
        reader(info.tobuf(tarfile.PAX_FORMAT) + archive)


def test_a_backup_that_is_packed_or_encrypted_is_told_with_what_to_do(archive: bytes) -> None:
    with pytest.raises(BackupError, match="it is compressed with gzip: unpack it first"):
        reader(gzip.compress(archive))
    with pytest.raises(BackupError, match="it is encrypted with age: decrypt it first"):
        reader(b"age-encryption.org/v1\n-> X25519 " + archive)
    with pytest.raises(BackupError, match="it is no tar archive"):
        reader(b"emailAddress\n" * 1000)


def test_what_cannot_be_read_is_told_for_what_it_is(tmp_path: Path) -> None:
    for path, why in (
        (tmp_path / "monday.tar", r"there is no file .*monday\.tar"),
        (tmp_path, "is a folder"),
        (Path("/dev/null"), "cannot come from a pipe"),
        (Path("-"), "cannot come from a pipe"),
    ):
        with pytest.raises(BackupError, match=why):
            open_backup(path)


def test_a_format_of_later_is_refused_with_what_to_do(tmp_path: Path) -> None:
    out = io.BytesIO()
    write(out, tmp_path, format=FORMAT + 1)
    with pytest.raises(BackupError, match="newer Tabellion: restore it with that version"):
        reader(out.getvalue())


def test_a_client_that_is_too_old_is_told_with_those_there_are() -> None:
    assert find_client("pg_dump", 16).major == 16
    assert find_client("pg_restore", 17).major >= 17
    with pytest.raises(
        EmbeddedPostgresError, match=r"needs a pg_dump of version 99 or later; there is 16\.\d+ .*postgresql-client-99"
    ):
        find_client("pg_dump", 99)


def test_the_password_is_not_among_the_arguments() -> None:
    conninfo, variables = environment(find_client("pg_dump", 16), "postgresql://me:s3cr%20et@db/x?sslmode=require", "test")
    assert "s3cr" not in conninfo
    assert variables["PGPASSWORD"] == "s3cr et"
    assert "sslmode=require" in conninfo
