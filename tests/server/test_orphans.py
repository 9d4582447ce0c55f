"""The first process of a container lets go what others have left it."""

import subprocess
import sys

_PROGRAM = """
import ctypes, os, pathlib, subprocess, time
from tabellion.server.child import Child, bury_orphans

def left():
    return pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()

assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER: orphans come to us, as to process 1
own = Child("own", lambda: subprocess.Popen(["sh", "-c", "exit 7"]))
own.tend(print)
subprocess.run(["sh", "-c", "(sleep 0.05; exit 3) & true"], check=True)
until = time.monotonic() + 20
while left() != [str(own.pid)] and time.monotonic() < until:
    bury_orphans([own])
    time.sleep(0.01)
print(left() == [str(own.pid)])
own.tend(lambda message, level=0: print(message))
"""


def test_orphans_are_let_go_and_children_keep_their_status() -> None:
    run = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    buried, told = run.stdout.splitlines()

    assert buried == "True"
    assert told.startswith("the own process ended with status 7")
