"""Secrets in the arguments of jobs: with a new key they are sealed anew, as those in columns are."""

from collections.abc import Callable, Sequence
from typing import LiteralString

from tabellion.platform.jobs.queue import OPEN
from tabellion.platform.secrets.places import Place


def place(
    what: str, task: LiteralString, secret: LiteralString, tells: Sequence[LiteralString], purpose: Callable[..., str]
) -> Place:
    """The secrets of the jobs of a task that wait or run. `what` as a `Place`'s.

    `secret` and `tells`, what tells one from others, are paths in the arguments, such as `rest,person`. What stands at
    `tells`, as texts, is what `purpose` is given.
    """
    texts: list[LiteralString] = [f"args #>> '{{{path}}}'" for path in (*tells, secret)]
    tests = " AND ".join(f"{text} = %s" for text in ("id", *texts))
    return Place(
        what,
        lambda _, *told: purpose(*told),
        f"SELECT id, {', '.join(texts)} FROM {OPEN} AND task_name = '{task}'",  # noqa: S608 - names of our own
        f"UPDATE jobs.procrastinate_jobs SET args = jsonb_set(args, '{{{secret}}}', to_jsonb(%s::text)) WHERE {tests}",  # noqa: S608 - names of our own
    )
