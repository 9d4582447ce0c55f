"""Request ids."""

import subprocess
import sys

_TWO_FORKS = """
import os
from datetime import UTC, datetime
from tabellion.kit.ids import request_id

for _ in range(2):
    if not os.fork():
        print(request_id(datetime(2027, 3, 1, tzinfo=UTC)), flush=True)
        os._exit(0)
    os.wait()
"""


def test_forks_do_not_give_the_same_ids() -> None:
    run = subprocess.run([sys.executable, "-c", _TWO_FORKS], capture_output=True, text=True, check=True)
    first, second = run.stdout.split()
    assert len(first) == len(second) == 16
    assert first != second
