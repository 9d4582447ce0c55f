"""One caged process, as the server sees it: started without the server's environment, asked, listened to, killed."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence
from typing import Final, Self

import msgspec

from tabellion.platform.templates.template import MAX_OUTPUT, Failed, Outcome, Reason, Rendered, Template
from tabellion.platform.templates.wire import (
    LENGTH,
    MAX_HELD,
    Answer,
    Load,
    Loaded,
    Printed,
    Request,
    decode_answer,
    encode_request,
    frame,
)

# How long a process may take to be gone once its pipe is closed.
_DYING_S: Final = 5.0
_STREAM_BYTES: Final = 4 << 20
_READ_BYTES: Final = 1 << 20
_OUT_OF_TURN: Final = "the rendering process spoke out of turn"
# Longer answers are none: a process that was taken over must not fill the server's memory.
_MOST_BYTES: Final = 32 << 20


class Limits(msgspec.Struct, frozen=True):
    """What a caged process may take.

    `render_cpu_s` is for one recipient, `define_cpu_s` for one check or preparation; `memory_mb` for the whole process;
    `silence_s` is how long it may take by the clock, on a machine however busy.
    """

    render_cpu_s: float = 1.0
    define_cpu_s: float = 5.0
    memory_mb: int = 128
    silence_s: float = 15.0


class CageBroken(Exception):
    """The process is gone; `reason` says why."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class CageUnavailable(Exception):
    """No process could be started: the machine's fault, and no recipient's."""


class Cage:
    """A running process. Requests are answered in their order."""

    def __init__(self, process: asyncio.subprocess.Process, limits: Limits) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("the process has no pipes")
        self._process, self._limits = process, limits
        self._requests, self._answers = process.stdin, process.stdout
        self._buffer = bytearray()
        # Of the templates that it holds: what is printed as it stands, by part.
        self._held: dict[bytes, tuple[tuple[bytes, ...], ...]] = {}

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @classmethod
    async def start(cls, limits: Limits) -> Self:
        """A new process, ready to be asked. Raises `CageUnavailable` when it does not come up."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-m", "tabellion.platform.templates.worker"),
            *(str(limits.memory_mb), str(limits.render_cpu_s), str(limits.define_cpu_s)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={"LC_ALL": "C.UTF-8", "MALLOC_ARENA_MAX": "1"},
            start_new_session=True,
            limit=_STREAM_BYTES,
        )
        cage = cls(process, limits)
        try:
            await cage.answer()
        except CageBroken as broken:
            raise CageUnavailable(f"the rendering process did not come up: {broken.message}") from None
        except BaseException:
            await cage.kill()
            raise
        return cage

    async def ask(self, request: Request) -> None:
        """Send a request."""
        if self._requests.is_closing():
            return  # the process has ended meanwhile, and the answer says why
        self._requests.write(frame(encode_request(request)))
        with contextlib.suppress(ConnectionError):  # the answer says why
            await self._requests.drain()

    async def answer(self) -> Answer:
        """The next answer. Raises `CageBroken`."""
        try:
            # Most are here already, since many mails fit into the pipe; a clock for each would cost more than reading it.
            answer = self._received()
            if answer is None:
                async with asyncio.timeout(self._limits.silence_s):
                    while answer is None:
                        self._buffer += await self._more()
                        answer = self._received()
        except TimeoutError:
            await self.kill()
            raise CageBroken(Reason.TIME, f"no answer within {self._limits.silence_s:g} s") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            code = await self._end()
            if code == -signal.SIGPROF:
                raise CageBroken(Reason.TIME, "more CPU time than a mail may take") from None
            raise CageBroken(Reason.DIED, f"the rendering process ended with {code}") from None
        except msgspec.DecodeError as error:
            await self.kill()
            raise CageBroken(Reason.DIED, f"the rendering process gave an answer that is none: {error}") from None
        return answer

    async def _more(self) -> bytes:
        read = await self._answers.read(_READ_BYTES)
        if not read:
            raise asyncio.IncompleteReadError(bytes(self._buffer[:LENGTH]), None)
        return read

    def _received(self) -> Answer | None:
        """An answer of which all has been read. Raises `msgspec.DecodeError`."""
        buffer = self._buffer
        if len(buffer) < LENGTH:
            return None
        end = LENGTH + int.from_bytes(buffer[:LENGTH], "big")
        if end > _MOST_BYTES:
            raise msgspec.DecodeError("it has no end")
        if len(buffer) < end:
            return None
        answer = decode_answer(bytes(memoryview(buffer)[LENGTH:end]))
        del buffer[:end]
        return answer

    async def outcome(self, template: Template) -> Outcome:
        """The next recipient's answer, put together. Raises `CageBroken`."""
        answer = await self.answer()
        if isinstance(answer, Printed):
            return _together(answer.parts, self._held[template.key])
        if not isinstance(answer, Failed):
            raise CageBroken(Reason.DIED, _OUT_OF_TURN)
        if answer.reason is Reason.MEMORY:
            # After that the process is as good as gone.
            raise CageBroken(answer.reason, answer.message)
        return answer

    async def _end(self) -> int | None:
        """The code with which a process ends that has closed its pipe; one that goes on after that is killed."""
        try:
            async with asyncio.timeout(_DYING_S):
                return await self._process.wait()
        except TimeoutError:
            await self.kill()
            return self._process.returncode

    async def hold(self, template: Template) -> Failed | None:
        """Have the process hold a template. What is wrong with the template is returned; raises `CageBroken`."""
        if template.key in self._held:
            return None
        full = len(self._held) >= MAX_HELD
        if full:
            self._held.clear()
        await self.ask(Load(template, full))
        answer = await self.answer()
        if isinstance(answer, Failed):
            return answer
        # A process that was taken over shall not fill the server's memory: what it prints as it stands is of the source.
        most = [len(part.source.encode()) for part in template.parts]
        if not isinstance(answer, Loaded) or len(answer.literals) != len(most):
            raise CageBroken(Reason.DIED, _OUT_OF_TURN)
        if any(sum(map(len, found)) > size for found, size in zip(answer.literals, most, strict=True)):
            raise CageBroken(Reason.DIED, _OUT_OF_TURN)
        self._held[template.key] = answer.literals
        return None

    async def kill(self) -> None:
        """End the process."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


def _together(parts: Sequence[Sequence[int | bytes]], literals: Sequence[Sequence[bytes]]) -> Rendered | Failed:
    """A mail from its pieces. Raises `CageBroken` where they are none."""
    found: list[list[bytes]] = []
    try:
        for part, known in zip(parts, literals, strict=True):
            found.append([known[piece] if isinstance(piece, int) else piece for piece in part])
    except (IndexError, ValueError):
        raise CageBroken(Reason.DIED, _OUT_OF_TURN) from None
    # Measured before it is put together: a few numbers can stand for very much.
    if sum(sum(map(len, part)) for part in found) > MAX_OUTPUT:
        return Failed(Reason.OUTPUT, f"the mail is longer than {MAX_OUTPUT:,} bytes")
    return Rendered(tuple(b"".join(part) for part in found))
