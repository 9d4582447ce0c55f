"""The verbs of `tabellion`, and where each of them is.

A verb's module is imported when the verb is asked for: by the time that all of them are there, most verbs have done their
work, and the processes of a server would carry what none of them uses.
"""

import errno
import os
import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Annotated, Final

import typer

from tabellion import __version__
from tabellion.kit.loading import loading

# In the order of the help: what is called, in which module of this package. A Typer is a group of verbs.
_VERBS: Final = {
    "serve": ("run", "serve"),
    "api": ("run", "api"),
    "worker": ("run", "worker"),
    "intake": ("run", "intake"),
    "migrate": ("run", "migrate"),
    "licence": ("licences", "licence"),
    "entity": ("licences", "entity"),
    "user": ("users", "user"),
    "table": ("tables", "table"),
    "relay": ("relays", "relay"),
    "sender": ("mail", "sender"),
    "suppression": ("mail", "suppression"),
    "erase": ("erasing", "erase"),
    "tracking": ("mail", "tracking"),
    "pacing": ("pacing", "pacing"),
    "import": ("bulk", "import_file"),
    "export": ("bulk", "export_table"),
    "jobs": ("jobs", "app"),
    "audit": ("audit", "app"),
    "key": ("keys", "app"),
    "backup": ("backup", "backup"),
    "restore": ("backup", "restore"),
    "resume": ("backup", "resume"),
    "doctor": ("doctor", "doctor"),
    "demo": ("demo", "demo"),
    "openapi": ("about", "print_openapi"),
    "settings": ("about", "list_settings"),
    "version": ("about", "version"),
}

# What shells call a program that Ctrl-C has ended.
_INTERRUPTED: Final = 130
_LAST_STREAM: Final = 2
# What writing to a stream fails with. Others (too many open files, a refused connection) name no file either.
_NOT_WRITTEN: Final = frozenset({errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})


def app(verbs: Iterable[str] = _VERBS) -> typer.Typer:
    """The command line with some of its verbs."""
    made = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
    made.callback(help="Tabellion: a marketing-data and campaign server.")(_before)
    for verb in verbs:
        module, name = _VERBS[verb]
        with loading():
            found = getattr(import_module(f"tabellion.cli.{module}"), name)
        if isinstance(found, typer.Typer):
            made.add_typer(found, name=verb)
        else:
            made.command(verb)(found)
    return made


def _print_version(asked: bool) -> None:
    if asked:
        print(f"tabellion {__version__}")  # noqa: T201 - the command line speaks
        raise typer.Exit


def _before(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """A command line with one verb alone would else, without this, be that verb."""


def main() -> None:
    """Run the command line."""
    _open_missing_streams()
    verb = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        try:
            app([verb] if verb in _VERBS else _VERBS)()
        finally:
            # Left to the interpreter's end, a failure of it would be no error of the verb.
            sys.stdout.flush()
    except OSError as error:  # what is wrong with other files, or with anything else, is told by the verbs
        if error.filename is not None or error.errno not in _NOT_WRITTEN:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            print(f"tabellion: the output was not written: {error.strerror}", file=sys.stderr)  # noqa: T201 - the command line speaks
        sys.exit(1)
    except KeyboardInterrupt:  # while the verb's module is imported, which takes a second on a busy machine
        print("tabellion: interrupted", file=sys.stderr)  # noqa: T201 - the command line speaks
        sys.exit(_INTERRUPTED)


def _open_missing_streams() -> None:
    """Stand in for standard streams that whoever started us has closed: the next socket would have such a number.

    Whoever closes or writes to a stream by its number, as the event loop and the children do, would mean that socket.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= _LAST_STREAM:
        os.set_inheritable(number, True)
    os.close(number)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
