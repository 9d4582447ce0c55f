"""Where a verb writes what it was asked for: a file, which is not replaced without a word, or the standard output."""

import sys
from collections.abc import Generator
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from tabellion.kit import newfile

_STANDARD = "-"
Force = Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")]


def is_standard(path: Path) -> bool:
    """Whether it is the standard output that is meant."""
    return str(path) == _STANDARD


def check_place(path: Path, *, force: bool, what: str) -> None:
    """That it can be written, before the work is done for it. Raises `NotWritten`."""
    if not is_standard(path):
        newfile.check(path, force=force, what=what)


@contextmanager
def written(path: Path, *, force: bool, what: str) -> Generator[BinaryIO]:
    """What to write into: the file gets its name when the block ends well. Raises `NotWritten`."""
    if not is_standard(path):
        with newfile.written(path, force=force, what=what) as out:
            yield out
        return
    sys.stdout.flush()
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


def told_beside(path: Path) -> "redirect_stdout[Any] | nullcontext[None]":
    """Within it, what is told goes to the standard error stream, where the standard output is for what is written."""
    return redirect_stdout(sys.stderr) if is_standard(path) else nullcontext()
