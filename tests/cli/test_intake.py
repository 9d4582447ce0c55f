"""`intake`: the process that bounces come in by."""

import os
import signal
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tabellion.features.delivery.tokens import return_path
from tabellion.platform import secrets
from tests.support.api import free_port
from tests.support.bounce_corpus import complaint


def test_without_a_port_there_is_no_door(refused: Callable[..., str]) -> None:
    assert "TABELLION_INTAKE_PORT" in refused("intake")


@pytest.mark.system
def test_the_process_takes_what_is_sealed_and_ends_when_it_is_told_to(database_url: str, tmp_path: Path) -> None:
    port = free_port()
    settings = {
        "TABELLION_DATABASE_URL": database_url, "TABELLION_DATA_DIR": str(tmp_path), "TABELLION_SECRET_KEY": "of the tests",
        "TABELLION_BOUNCE_DOMAIN": "bounces.example.com", "TABELLION_INTAKE_PORT": str(port),
    }  # fmt: skip
    secrets.use_key("of the tests", tmp_path)
    command = [sys.executable, "-m", "tabellion", "intake"]
    with subprocess.Popen(command, env=os.environ | settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            with smtp_at(port, process) as smtp:
                assert smtp.ehlo()[1].startswith(b"bounces.example.com")
                smtp.mail("")
                assert smtp.rcpt("b-forged@bounces.example.com")[0] == 550
                # A licence that is gone: there is nothing to note, and no reason to have it sent again.
                assert smtp.rcpt(return_path(99, 1, "bounces.example.com"))[0] == 250
                assert smtp.data(complaint())[0] == 250
        finally:
            process.send_signal(signal.SIGHUP)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0, output


def smtp_at(port: int, process: subprocess.Popen[bytes]) -> smtplib.SMTP:
    deadline = time.monotonic() + 30
    while True:
        try:
            return smtplib.SMTP("127.0.0.1", port, timeout=10)
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
