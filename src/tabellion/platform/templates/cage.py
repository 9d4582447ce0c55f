"""One caged process, as the server sees it: started without the server's environment, asked, listened to, killed."""

import asyncio
import contextlib
import signal
import sys
from typing import Final, Self

import msgspec

from tabellion.platform.templates.template import Failed, Reason, Template
from tabellion.platform.templates.wire import (
    LENGTH,
    MAX_HELD,
    Answer,
    Load,
    Request,
    decode_answer,
    encode_request,
    frame,
)

# How long a process may take to be gone once its pipe is closed.
_DYING_S: Final = 5.0
_STREAM_BYTES: Final = 4 << 20
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
        self._held: set[bytes] = set()

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
            async with asyncio.timeout(self._limits.silence_s):
                length = int.from_bytes(await self._answers.readexactly(LENGTH), "big")
                if length <= _MOST_BYTES:
                    return decode_answer(await self._answers.readexactly(length))
        except TimeoutError:
            await self.kill()
            raise CageBroken(Reason.TIME, f"no answer within {self._limits.silence_s:g} s") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            code = await self._end()
            if code == -signal.SIGPROF:
                raise CageBroken(Reason.TIME, "more CPU time than a mail may take") from None
            raise CageBroken(Reason.DIED, f"the rendering process ended with {code}") from None
        await self.kill()
        raise CageBroken(Reason.DIED, "the rendering process gave an answer without end")

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
        self._held.add(template.key)
        return None

    async def kill(self) -> None:
        """End the process."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
