"""In which files a person is named; what cannot be read may name anybody."""

import zipfile
from pathlib import Path

import pytest

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


def test_an_address_on_the_border_of_two_parts_is_found(tmp_path: Path) -> None:
    path = tmp_path / "guests.csv"
    for text, wanted in (("ann@example.com", True), ("joann@example.com", False)):
        path.write_bytes(b"x" * (1024 * 1024 - 7) + b";" + text.encode() + b"\n")
        assert is_in_file(path, IS_IN) is wanted
