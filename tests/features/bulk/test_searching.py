"""In which files a person is named; what cannot be read may name anybody."""

import zipfile
from itertools import product
from pathlib import Path

import pytest

from tabellion.features.bulk import searching
from tabellion.features.bulk.searching import is_in_file
from tabellion.kit.traces import traces_of

IS_IN = traces_of(["ann@example.com"]).finder()


def archive(path: Path, compression: int, content: str) -> bytes:
    with zipfile.ZipFile(path, "w", compression) as made:
        made.writestr("zo\u00eb.csv", content)
    return path.read_bytes()


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_archives_of_all_kinds_are_read_and_damaged_ones_may_name_anybody(tmp_path: Path, compression: int) -> None:
    path = tmp_path / "guests.zip"
    archive(path, compression, "mail\n" * 5000 + "joann@example.com\n")
    assert not is_in_file(path, IS_IN)
    octets = archive(path, compression, "mail\n" * 5000 + "ann@example.com\n")
    assert is_in_file(path, IS_IN)
    start = octets.index(b".csv") + 10
    for place in range(start, min(start + 40, octets.rindex(b"PK\x01\x02")), 3):
        path.write_bytes(octets[:place] + bytes([octets[place] ^ 0xFF]) + octets[place + 1 :])
        assert is_in_file(path, IS_IN), place
    path.write_bytes(octets.replace("zo\u00eb".encode(), b"zo\xff\xff"))
    assert is_in_file(path, IS_IN)


@pytest.mark.parametrize(("encoding", "octets"), [("utf-8", 1), ("utf-16", 2), ("utf-16-be", 2)])
@pytest.mark.parametrize("part", [64, 1024])
def test_an_address_is_found_wherever_two_parts_meet_and_is_not_cut_out_of_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, encoding: str, octets: int, part: int
) -> None:
    """Each octet of it in turn is the first of a part, or of what is looked at once more with the next part."""
    overlap = 128
    monkeypatch.setattr(searching, "_PIECE_BYTES", part)
    monkeypatch.setattr(searching, "_OVERLAP_BYTES", overlap)
    path = tmp_path / "guests.csv"
    named = ('"ann@example.com"', "ANN@example.com", "ann@example.com")
    others = (
        "joann@example.com", "\u00f6ann@example.com", "%C3%B6ann@example.com", "ann@example.com.au", "ann@example.community",
    )  # fmt: skip
    for text in (*named, *others):
        for border, after in product((part - overlap, part), ("", "\r\n" + "y" * 2 * part)):
            for letters in range(max(0, border - 60) // octets, (border + 8) // octets):
                path.write_bytes(f'{"x" * letters}\r\n"zo\u00eb";{text}{after}'.encode(encoding))
                assert is_in_file(path, IS_IN) is (text in named), (text, letters, after)
