"""The key of secrets, where it is made."""

import os
from pathlib import Path

import pytest

from tabellion.platform.secrets import ring


def test_a_new_key_is_there_after_a_power_cut_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync, synced = os.fsync, list[str]()

    def fsync(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        sync(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    key = ring._kept(tmp_path / "secret.key")
    assert synced == [str(tmp_path / f"secret.key.{os.getpid()}"), str(tmp_path)], "first what it says, then its name"
    assert (tmp_path / "secret.key").read_bytes() == key
