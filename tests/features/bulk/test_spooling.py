"""Uploaded files become those of a job, while the process does other things."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from tabellion.features.bulk.imports import spooled
from tabellion.platform.files import use_spool


async def test_calls_go_on_while_a_file_is_brought_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_spool(tmp_path)
    uploaded, others, waits = tmp_path / "upload", threading.Event(), list[bool]()
    uploaded.write_text("emailAddress\n")
    monkeypatch.setattr(os, "fsync", lambda _: waits.append(others.wait(2)))
    asyncio.get_running_loop().call_soon(others.set)

    async with spooled({"input": uploaded}, "job"):
        assert (tmp_path / "job" / "input").read_text() == "emailAddress\n"

    assert waits == [True] * 3
