"""The files of a licence that is erased go, at the second try if not at the first."""

import shutil
from pathlib import Path

import pytest

from tabellion.features.bulk import erasing


def test_what_could_not_be_erased_is_erased_by_the_next_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = tmp_path / "spool"
    for folder in ("import-1", "import-2"):
        (spool / folder).mkdir(parents=True)
        (spool / folder / "guests.csv").write_text("ann@example.com")

    def fails(path: Path) -> None:
        # No modes keep the administrator, whom tests may run as, from deleting.
        raise OSError(f"{path} is not empty")

    with monkeypatch.context() as broken:
        broken.setattr(shutil, "rmtree", fails)
        with pytest.raises(OSError, match="not empty"):
            erasing.erase(spool, ["import-1", "import-2"])
    erasing.erase(spool, ["import-1", "import-2"])
    assert list(spool.iterdir()) == []
