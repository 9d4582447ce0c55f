"""Where the metrics of the processes lie."""

import os
import shutil
import stat
from pathlib import Path

import pytest

from tabellion.platform.telemetry.metrics import MEMORY, prepare_metrics

_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_VARIABLE, "")


@pytest.mark.skipif(not MEMORY.is_dir(), reason="no files in memory here")
def test_they_lie_where_a_full_disk_does_not_matter(tmp_path: Path) -> None:
    # The library maps its files: on a full disk, writing to a page without a block ended the process (SIGBUS).
    folder = prepare_metrics(tmp_path, 8080)
    try:
        assert folder.parent == MEMORY
        assert os.environ[_VARIABLE] == str(folder)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "counter_1.db").touch()
        assert prepare_metrics(tmp_path, 8080) == folder
        assert list(folder.iterdir()) == []
    finally:
        shutil.rmtree(folder)
    for other in (prepare_metrics(tmp_path, 8081), prepare_metrics(tmp_path / "other", 8080)):
        assert other != folder
        shutil.rmtree(other)


def test_without_room_in_memory_they_lie_in_the_data_directory(tmp_path: Path) -> None:
    wanted = tmp_path / "metrics" / "8080"
    assert prepare_metrics(tmp_path, 8080, tmp_path / "none") == wanted
    assert os.environ[_VARIABLE] == str(wanted)
    assert wanted.is_dir()


def test_what_somebody_else_has_put_there_is_not_used(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    memory.mkdir()
    folder = prepare_metrics(tmp_path, 8080, memory)
    assert folder.parent == memory
    folder.rmdir()
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    folder.symlink_to(foreign)
    assert prepare_metrics(tmp_path, 8080, memory) == tmp_path / "metrics" / "8080"
