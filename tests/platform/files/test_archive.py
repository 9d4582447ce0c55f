"""Archives from strangers: forty attacks, and what honest tools make."""

import gzip
import io
import random
import time
import tracemalloc
import zlib
from pathlib import Path

import pytest

from tabellion.platform.files import ArchiveError, Kind, contents, gunzip, inflate, kind_of
from tests.support.zip_attacks import CSV, LIARS, PIECE, VISIBLE, File, archive, as_blocks, good, many

CAP = 4 << 30
MAX_CPU_S, MAX_BYTES, MAX_OVER = 0.05, 5 << 20, 128 << 10


def test_there_are_forty() -> None:
    assert len(VISIBLE) >= 40


@pytest.mark.parametrize("name", VISIBLE)
def test_what_the_directory_shows_is_refused_at_once(name: str, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    told, made = VISIBLE[name]
    path.write_bytes(made())
    began = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError) as refusal:
            contents(path, cap=CAP)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert told in str(refusal.value)
    assert time.process_time() - began < MAX_CPU_S * 5  # tracing alone makes it several times slower
    assert peak < MAX_BYTES
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["parent folders", "parent folders of Windows"])
def test_a_name_that_leads_elsewhere_is_told_with_what_to_do(name: str, tmp_path: Path) -> None:
    # addFile('../export.csv') of PHP packs it under that name.
    path = tmp_path / "upload"
    path.write_bytes(VISIBLE[name][1]())
    with pytest.raises(ArchiveError, match="leads out of the zip's own folder; pack the file under its name alone"):
        contents(path, cap=CAP)


@pytest.mark.parametrize("name", LIARS)
def test_liars_are_stopped_soon_after_what_they_said(name: str, tmp_path: Path) -> None:
    path, target = tmp_path / "upload", tmp_path / "rows"
    path.write_bytes(LIARS[name]())
    (entry,) = contents(path, cap=CAP)
    with pytest.raises(ArchiveError), target.open("wb") as file:
        inflate(path, entry, file)

    assert target.stat().st_size <= entry.size + MAX_OVER
    assert sorted(tmp_path.iterdir()) == [target, path]


@pytest.mark.parametrize("name", good())
def test_honest_archives_are_taken(name: str, tmp_path: Path) -> None:
    path, target = tmp_path / "upload", io.BytesIO()
    path.write_bytes(good()[name])
    assert kind_of(path) is Kind.ZIP
    (entry,) = contents(path, cap=len(CSV))
    inflate(path, entry, target)
    assert target.getvalue() == CSV


@pytest.mark.parametrize("count", [0, 1000])
def test_an_archive_may_hold_nothing_or_a_thousand_files(count: int, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(many(count))
    assert len(contents(path, cap=0)) == count


@pytest.mark.parametrize(
    "file",
    [
        File(data=random.Random(1).randbytes(3 * PIECE)),
        File(data=random.Random(1).randbytes(3 * PIECE), method=0),
        # The last bytes that are read make more than is taken at a time.
        File(data=bytes(2 * PIECE + 251)),
        File(data=bytes(PIECE - 10), packed=as_blocks(bytes(PIECE - 10))),
    ],
    ids=["random", "stored", "zeros", "ends with what is read"],
)
def test_what_is_inflated_piece_by_piece_is_whole(file: File, tmp_path: Path) -> None:
    path, target = tmp_path / "upload", io.BytesIO()
    path.write_bytes(archive(file))
    (entry,) = contents(path, cap=CAP)
    inflate(path, entry, target)
    assert target.getvalue() == file.data


def test_what_is_damaged_is_called_so(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(LIARS["no deflate at all"]())
    (entry,) = contents(path, cap=CAP)
    with pytest.raises(ArchiveError, match="is damaged; make the zip again"):
        inflate(path, entry, io.BytesIO())


@pytest.mark.parametrize(
    "packed",
    [gzip.compress(CSV), gzip.compress(CSV[:20]) + gzip.compress(CSV[20:]), gzip.compress(CSV) + b"\0" * 512],
    ids=["one", "two members", "filled up"],
)
def test_gzip(packed: bytes, tmp_path: Path) -> None:
    path, target = tmp_path / "upload", io.BytesIO()
    path.write_bytes(packed)
    assert kind_of(path) is Kind.GZIP
    gunzip(path, target, cap=len(CSV))
    assert target.getvalue() == CSV


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(CSV)[:-4],
        gzip.compress(CSV)[:12],
        gzip.compress(CSV)[:-8] + b"\1\2\3\4" + gzip.compress(CSV)[-4:],
        gzip.compress(CSV) + b"junk",
        gzip.compress(CSV) + bytes(PIECE) + b"junk",
        gzip.compress(CSV) + zlib.compress(CSV),
        zlib.compress(CSV),
        gzip.compress(bytes(64 << 20)),
    ],
    ids=["cut off", "cut off early", "checksum", "junk behind", "junk behind zeros", "ZLIB behind", "ZLIB", "bomb"],
)
def test_bad_gzip_is_refused(packed: bytes, tmp_path: Path) -> None:
    path, target = tmp_path / "upload", io.BytesIO()
    path.write_bytes(packed)
    with pytest.raises(ArchiveError):
        gunzip(path, target, cap=1 << 20)
    assert len(target.getvalue()) <= (1 << 20)
