"""Files that verbs write: whole or not at all, whatever others do in the same folder."""

import fcntl
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from tabellion.kit.newfile import NotWritten, written


def test_the_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "x.tar"
    with pytest.raises(ZeroDivisionError), written(target, force=False, what="backup") as out:
        out.write(bytes(1 // 0))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".old.tar.tabellion-partial").write_bytes(b"of one that was killed")
    with written(target, force=False, what="backup") as out:
        out.write(b"whole")
        assert not target.exists()
        with pytest.raises(NotWritten, match="another backup is being written"), written(target, force=False, what="backup"):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["x.tar"]
    assert (target.read_bytes(), target.stat().st_mode & 0o777) == (b"whole", 0o600)
    with pytest.raises(NotWritten, match="is there already"), written(target, force=False, what="backup"):
        pass
    with written(target, force=True, what="backup") as out:
        out.write(b"new")
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("others", [Path.unlink, lambda partial: partial.rename(partial.with_name("x.tar"))])
def test_whoever_comes_between_opening_and_locking_takes_nothing_away_and_loses_nothing(
    others: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others may have taken the file for one of the dead, or come to their end with it."""
    target, partial = tmp_path / "x.tar", tmp_path / ".x.tar.tabellion-partial"
    lock, steps = fcntl.flock, [others]

    def flock(handle: int, kind: int) -> None:
        if steps:
            partial.write_bytes(b"theirs")
            steps.pop()(partial)
        lock(handle, kind)

    monkeypatch.setattr(fcntl, "flock", flock)
    try:
        with written(target, force=False, what="backup") as out:
            out.write(b"ours")
    except NotWritten as refused:
        assert "is there already" in str(refused)
        assert target.read_bytes() == b"theirs"
    else:
        assert target.read_bytes() == b"ours"
    assert list(tmp_path.iterdir()) == [target]


def test_so_little_that_it_is_written_at_the_end_alone_finds_no_room(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with (
            pytest.raises(NotWritten, match="is full: no key was made"),
            written(tmp_path / "x", force=True, what="key") as out,
        ):
            out.write(bytes(11))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []
