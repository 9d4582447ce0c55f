"""Relays that answer what a test has them say."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

Script = Callable[[str], str | None]
RAW = b"From: a@example.com\r\nSubject: x\r\n\r\n.line\r\n"
PIPELINING = "250-here\r\n250-SIZE 1000000\r\n250 PIPELINING"


@asynccontextmanager
async def server(script: Script) -> AsyncGenerator[tuple[int, list[str]]]:
    """An SMTP server that answers what `script` says to each command and what it heard. None: it hangs up; empty: it
    says nothing any more.
    """
    heard: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        in_data = False
        while line := (await reader.readline()).decode():
            if in_data and line != ".\r\n":
                heard.append(line)
                continue
            command = "." if in_data else line.split(":")[0].split()[0].upper()
            in_data = False
            heard.append(line)
            answer = script(command)
            if answer is None:
                break
            in_data = answer.startswith("354")
            if not answer:
                await reader.read()
            writer.write(f"{answer}\r\n".encode())
        writer.close()

    made = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with made:
        yield made.sockets[0].getsockname()[1], heard


def answering(**changes: str | None) -> Script:
    answers: dict[str, str | None] = {
        "EHLO": "250 here", "HELO": "250 here", "MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go", ".": "250 queued",
        "RSET": "250 ok", "QUIT": "221 bye",
    }  # fmt: skip
    return lambda command: (answers | {"." if name == "DOT" else name: value for name, value in changes.items()})[command]
