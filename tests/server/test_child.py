"""Children of the supervisor that cannot be started, as where the system has no room for one more process."""

import logging
import subprocess
from pathlib import Path

from tabellion.server import child
from tabellion.server.child import Child, stop_all
from tests.support.waiting import until


def test_one_that_cannot_be_started_is_tried_again(tmp_path: Path) -> None:
    program = tmp_path / "program"
    told: list[tuple[str, int]] = []
    own = Child("own", lambda: subprocess.Popen([program]))

    def tend() -> int | None:
        own.tend(lambda message, level=logging.INFO: told.append((message, level)))
        return own.pid

    assert tend() is tend() is None
    assert told == [
        (f"the own process could not be started, and is tried again in {child._FIRST_PAUSE_S:g} s: No such file or directory",
         logging.ERROR)
    ]  # fmt: skip
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    until(tend)
    stop_all([own], child.KILL_AFTER_S)
