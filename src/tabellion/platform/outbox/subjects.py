"""Subjects of events by the names that callers use: those who write events tell those who listen how to find them."""

from collections.abc import Awaitable, Callable
from typing import Any

# From the call and a reference (an id or a name) to the subject's id, in the entity of the path; None: there is none.
Finder = Callable[[Any, str], Awaitable[str | None]]

_finders: dict[str, Finder] = {}


def register(kind: str, finder: Finder) -> None:
    """Say how subjects of a kind are found; once per process, by the composition root."""
    _finders[kind] = finder


async def find(kind: str, call: Any, reference: str) -> str | None:
    """The id of a subject; None when there is none, or nobody writes events of the kind."""
    finder = _finders.get(kind)
    return None if finder is None else await finder(call, reference)
