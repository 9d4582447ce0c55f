"""The file of an export that comes to nothing."""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tabellion.features.bulk.exports.writing import Target, write
from tabellion.kit.charsets import UTF_8


@pytest.mark.parametrize("compression", ["ZIP", "GZIP", "NONE"])
def test_a_file_that_is_given_up_leaves_nothing_behind_and_says_nothing(
    compression: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)

    def pieces() -> Iterator[tuple[bytes, int]]:
        yield b"ann@example.com\n", 1
        raise ConnectionError("the database is away")

    with pytest.raises(ConnectionError):
        write(Target(tmp_path / "export", "export.csv", compression, UTF_8, ""), "emailAddress\n", pieces(), lambda _: None)
    gc.collect()

    assert list(tmp_path.iterdir()) == []
    assert said == []
