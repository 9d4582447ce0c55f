"""Postfix's `smtp-sink`, and a bare asyncio loop that hands mails to it: what there is to be had on a machine."""

import asyncio
import os
import queue
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import aiosmtplib
from prepare import free_port

_PATHS = "/usr/sbin:/usr/bin:/usr/local/sbin"
_LINE_START = re.compile(rb"(?m)^\.")
_READY_WITHIN_S = 10


def program() -> str:
    """Where smtp-sink is; ends the run with what to install when it is nowhere."""
    found = shutil.which("smtp-sink", path=_PATHS)
    if found is None:
        sys.exit("smtp-sink was not found; it comes with Debian's package postfix (sh tools/debian.sh smtp-sink)")
    return found


@contextmanager
def sink() -> Iterator[int]:
    """A running smtp-sink; its port. It takes everything and keeps nothing."""
    port = free_port()
    # As root it wants to know whose rights it takes on.
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    process = subprocess.Popen([program(), *user, "-m", "500", f"127.0.0.1:{port}", "500"])
    try:
        deadline = time.monotonic() + _READY_WITHIN_S
        while time.monotonic() < deadline and process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        else:
            sys.exit("smtp-sink did not start")
        yield port
    finally:
        process.terminate()
        process.wait()


@contextmanager
def journal() -> Iterator[tuple[int, dict[str, float]]]:
    """A server that notes when it has answered each recipient's mail, by `time.perf_counter`; its port."""
    taken: dict[str, float] = {}
    ready: queue.Queue[int] = queue.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        recipient = ""
        while line := await reader.readline():
            match line[:4].upper():
                case b"RCPT":
                    recipient = line.decode().partition("<")[2].partition(">")[0]
                    writer.write(b"250 ok\r\n")
                case b"DATA":
                    writer.write(b"354 go on\r\n")
                    await reader.readuntil(b"\r\n.\r\n")
                    writer.write(b"250 taken\r\n")
                    taken[recipient] = time.perf_counter()
                case b"EHLO":
                    writer.write(b"250-here\r\n250 PIPELINING\r\n")
                case _:
                    writer.write(b"250 ok\r\n")
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 24)
        ready.put(server.sockets[0].getsockname()[1])
        await asyncio.Event().wait()

    threading.Thread(target=lambda: asyncio.run(run()), daemon=True).start()
    yield ready.get(timeout=_READY_WITHIN_S), taken


def stuffed(raw: bytes) -> bytes:
    """A mail as it goes over the wire after DATA."""
    return _LINE_START.sub(b"..", raw) + b".\r\n"


async def hand_over(port: int, mails: Sequence[bytes], count: int, connections: int, *, pipelined: bool = False) -> float:
    """Mails a second of a bare loop: ready-made bytes (`stuffed`), every answer looked at, nothing written down.

    One command at a time, or with MAIL, RCPT and DATA in one piece.
    """
    left = iter(range(count))

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert (await reader.readline()).startswith(b"220")
        writer.write(b"EHLO bench\r\n")
        while not (await reader.readline()).startswith(b"250 "):
            pass
        for number in left:
            commands = [
                b"MAIL FROM:<news@shop.example>\r\n",
                f"RCPT TO:<user{number}@example.com>\r\n".encode(),
                b"DATA\r\n",
            ]
            if pipelined:
                writer.write(b"".join(commands))
                for _ in commands:
                    answer = await reader.readline()
            else:
                for command in commands:
                    writer.write(command)
                    answer = await reader.readline()
            assert answer.startswith(b"354")
            writer.write(mails[number % len(mails)])
            answer = await reader.readline()
            assert answer.startswith(b"250")
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    return count / (time.perf_counter() - began)


async def by_library(port: int, mails: Sequence[bytes], count: int, connections: int) -> float:
    """The same for aiosmtplib, the library of most programs that send mails from an event loop."""
    left = iter(range(count))

    async def one() -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, use_tls=False, start_tls=False) as client:
            for number in left:
                await client.sendmail("news@shop.example", f"user{number}@example.com", mails[number % len(mails)])

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    return count / (time.perf_counter() - began)


def main() -> None:
    """Run as a process of its own: PORT FOLDER COUNT CONNECTIONS plain|pipelined|library. Prints mails a second."""
    port, folder, count, connections, how = (
        int(sys.argv[1]),
        Path(sys.argv[2]),
        int(sys.argv[3]),
        int(sys.argv[4]),
        sys.argv[5],
    )
    mails = [path.read_bytes() for path in sorted(folder.glob("*.eml"))]
    if how == "library":
        print(asyncio.run(by_library(port, mails, count, connections)))
    else:
        ready = [stuffed(mail) for mail in mails]
        print(asyncio.run(hand_over(port, ready, count, connections, pipelined=how == "pipelined")))


if __name__ == "__main__":
    main()
