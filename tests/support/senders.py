"""Processes that send, for tests that kill and stop them: workers of a server, or `mailsender`, which is up sooner."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.support.gap_sink import GapSink, owner

ROOT = Path(__file__).parents[2]
PROCESSES = 3


class Senders:
    """The one that is killed or stopped has a successor at once, and so has one that ends by itself, as under a supervisor."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path, chance: random.Random) -> None:
        self._command, self._environment, self._folder, self._chance = command, environment, folder, chance
        self.log = folder / "senders.log"
        self.ended = 0
        self._running = [self._start() for _ in range(PROCESSES)]
        self._stopped: list[subprocess.Popen[bytes]] = []

    def kill_outside(self, sink: GapSink) -> bool:
        """Kill one that is in no gap; False: it was always in one."""
        at_work = [process for process in self._running if sink.knows(process.pid)]
        victim = self._chance.choice(at_work or self._running)
        victim.send_signal(signal.SIGSTOP)
        # The server takes up to a second for an answer.
        deadline = time.monotonic() + 2
        while sink.busy(victim.pid):
            if time.monotonic() > deadline:
                # It was stopped between being asked for a mail and writing it: the server waits for it.
                victim.send_signal(signal.SIGCONT)
                return False
            time.sleep(0.002)
        self._replace(victim)
        return True

    def kill_inside(self, sink: GapSink) -> bool:
        """Kill one whose mail has ended and is not answered; False: no mail came."""
        caught = sink.catch(within_s=20)
        if caught is None:
            return False
        pid = owner(caught[0], [process.pid for process in self._running])
        for process in self._running:
            if process.pid == pid:
                self._replace(process)
                break
        sink.release(take=self._chance.random() < 0.5)
        return pid is not None

    def stop_one(self) -> None:
        """Hold a process, as a laptop's lid does; others give it up meanwhile."""
        victim = self._running.pop(0)
        victim.send_signal(signal.SIGSTOP)
        self._stopped.append(victim)
        self._running.append(self._start())

    def go_on(self) -> None:
        for process in self._stopped:
            process.send_signal(signal.SIGCONT)

    def tend(self) -> None:
        """Start those again that have ended by themselves."""
        for process in [each for each in self._running if each.poll() is not None]:
            self.ended += 1
            self._replace(process)

    def end(self) -> None:
        for process in [*self._running, *self._stopped]:
            process.kill()
            process.wait()

    def _replace(self, victim: subprocess.Popen[bytes]) -> None:
        victim.kill()
        victim.wait()
        self._running.remove(victim)
        self._running.append(self._start())

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(self._command, cwd=ROOT, env=self._environment, stdout=log, stderr=log)


@contextmanager
def senders(url: str, key: str, folder: Path, chance: random.Random, *, workers: bool) -> Generator[Senders]:
    """`workers`: those of a server, whole and with its pace; all of one kind, for a quick one would give slow ones up too soon."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TABELLION_")}
    environment |= {
        "TABELLION_SECRET_KEY": key,
        "TABELLION_DATABASE_URL": url,
        "TABELLION_DATA_DIR": str(folder / "workers"),
    }
    command = ["tabellion", "worker"] if workers else ["tests.support.mailsender", url]
    running = Senders([sys.executable, "-m", *command], environment, folder, chance)
    try:
        yield running
    finally:
        running.end()
