"""Drawings (SVG) as pictures (PNG), made by a process of its own: the library that draws keeps the interpreter for a fifth
of a second, in which a server answers hundreds of calls.
"""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE
from typing import ClassVar

from tabellion.kit.problem import Problem

_WITHIN_S = 20.0
# Of each server process; who comes later waits.
_AT_A_TIME = asyncio.Semaphore(1)


class PictureUnavailable(Problem):
    """No picture could be drawn just now."""

    status: ClassVar[int] = 503
    code: str = "unavailable"


async def png(svg: bytes) -> bytes:
    """A drawing as a picture of twice its size, as screens have them today. Raises `PictureUnavailable` (503)."""
    command = (sys.executable, "-I", "-m", "tabellion.platform.pictures.draw")
    async with _AT_A_TIME:
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
        try:
            async with asyncio.timeout(_WITHIN_S):
                made, _ = await process.communicate(svg)
        except TimeoutError:
            made = b""
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if process.returncode or not made:
        raise PictureUnavailable(
            "the picture could not be drawn in time: ask again, or ask for the drawing", headers={"Retry-After": "5"}
        )
    return made
