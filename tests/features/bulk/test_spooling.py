"""Uploaded files become those of a job, while the process does other things."""

import asyncio
import os
import threading
from pathlib import Path

import psycopg
import pytest

from tabellion.features.bulk.imports import spooled
from tabellion.platform.files import use_spool


async def test_calls_go_on_while_a_file_is_brought_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_spool(tmp_path)
    uploaded, others, waits = tmp_path / "upload", threading.Event(), list[bool]()
    uploaded.write_text("emailAddress\n")
    monkeypatch.setattr(os, "fsync", lambda _: waits.append(others.wait(20)))
    asyncio.get_running_loop().call_soon(others.set)

    async with spooled({"input": uploaded}, "job"):
        assert (tmp_path / "job" / "input").read_text() == "emailAddress\n"

    assert waits == [True] * 3


async def test_nothing_is_left_of_a_job_for_which_there_is_no_room(tmp_path: Path, worker_database_url: str) -> None:
    use_spool(tmp_path / "spool")
    uploaded = tmp_path / "upload"
    uploaded.write_text("emailAddress\n")
    async with await psycopg.AsyncConnection.connect(worker_database_url, autocommit=True) as db:
        with pytest.raises(psycopg.errors.DiskFull):
            async with spooled({"input": uploaded}, "job"), db.transaction():
                await db.execute("DO $$ BEGIN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END $$")
    assert list((tmp_path / "spool").iterdir()) == []


async def test_nothing_is_left_of_files_that_could_not_be_spooled(tmp_path: Path) -> None:
    use_spool(tmp_path / "spool")
    uploaded = tmp_path / "upload"
    uploaded.write_text("emailAddress\n")
    with pytest.raises(FileNotFoundError):
        async with spooled({"input": uploaded, "other": tmp_path / "nothing"}, "job"):
            pass
    assert list((tmp_path / "spool").iterdir()) == []
