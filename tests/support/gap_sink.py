"""An SMTP server for tests that kill senders: it keeps a journal, knows who is in the middle of a mail, and can hold an answer.

The gap is the time between the end of a mail and the answer to it: nobody but the server knows then whether the mail has arrived.
"""

import asyncio
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Self

from tests.support.api import free_port
from tests.support.wire import bare_line_end


class GapSink:
    """Use as a context. `journal` counts the mails that were taken over, by recipient."""

    def __init__(self) -> None:
        self.port = free_port()
        self.journal: Counter[str] = Counter()
        self.held: set[str] = set()
        # Lines with a bare CR or LF.
        self.smuggling: list[bytes] = []
        # When each recipient's mail was taken over, by the monotonic clock; and how long a mail waits for its answer.
        self.at: dict[str, float] = {}
        self.answer_after_s = 0.0
        self._busy: Counter[int] = Counter()
        self._hold_next = False
        self._holding: tuple[int, str] | None = None
        self._caught = threading.Event()
        self._verdict: asyncio.Future[bool] | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        started = threading.Event()
        self._loop.call_soon(started.set)
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        assert kind is not None or not self.smuggling, self.smuggling[:3]

    def busy(self, pid: int) -> bool:
        """Whether a process is between the 354 and the answer of one of its mails."""
        return any(count > 0 and _owns(pid, port) for port, count in self._busy.copy().items())

    def knows(self, pid: int) -> bool:
        """Whether a process has a connection by which mails came."""
        return any(_owns(pid, port) for port in self._busy.copy())

    def catch(self, within_s: float) -> tuple[int, str] | None:
        """Hold the answer to the next mail; the sender's port and the recipient. None: no mail came."""
        self._caught.clear()
        self._hold_next = True
        if not self._caught.wait(within_s):
            self._hold_next = False
            if not self._caught.is_set():
                return None
        return self._holding

    def release(self, *, take: bool) -> None:
        """Let the held mail have arrived, or not."""
        assert self._verdict is not None
        self._loop.call_soon_threadsafe(self._verdict.set_result, take)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=500))
        self._loop.run_forever()

    async def _end(self) -> None:
        self._server.close()
        talking = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in talking:
            task.cancel()
        await asyncio.gather(*talking, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = writer.get_extra_info("peername")[1]
        try:
            writer.write(b"220 ready\r\n")
            recipient = ""
            while line := await reader.readline():
                match line[:4].upper():
                    case b"EHLO":
                        writer.write(b"250-here\r\n250 PIPELINING\r\n")
                    case b"RCPT":
                        recipient = line.decode().partition("<")[2].partition(">")[0]
                        writer.write(b"250 ok\r\n")
                    case b"DATA":
                        writer.write(b"354 go on\r\n")
                        self._busy[port] += 1
                        while (piece := await reader.readline()) not in {b".\r\n", b""}:
                            if piece.endswith(b"\n") and bare_line_end(piece) is not None:
                                self.smuggling.append(piece)
                        if piece and await self._takes(port, recipient):
                            self.journal[recipient] += 1
                            self.at[recipient] = time.monotonic()
                            await asyncio.sleep(self.answer_after_s)
                            writer.write(b"250 2.0.0 queued\r\n")
                        self._busy[port] -= 1
                    case _:
                        writer.write(b"250 ok\r\n")
        except ConnectionError:
            pass
        finally:
            self._busy.pop(port, None)
            writer.close()

    async def _takes(self, port: int, recipient: str) -> bool:
        if not self._hold_next:
            return True
        self._hold_next = False
        self._verdict = self._loop.create_future()
        self._holding = port, recipient
        self.held.add(recipient)
        self._caught.set()
        return await self._verdict


def owner(port: int, pids: list[int]) -> int | None:
    """Which of the processes has a connection from this port."""
    return next((pid for pid in pids if _owns(pid, port)), None)


def _owns(pid: int, port: int) -> bool:
    inodes = {
        fields[9] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if (fields := line.split())[1].endswith(f":{port:04X}")
    }  # fmt: skip
    try:
        return any(
            str(link.readlink()).removeprefix("socket:[").rstrip("]") in inodes for link in Path(f"/proc/{pid}/fd").iterdir()
        )
    except OSError:
        return False
