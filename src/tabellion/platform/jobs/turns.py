"""Whose turn it is: the licence's of which the fewest jobs are done at the moment, then whose turn is longest ago.

A long job that can go on later asks now and then whether somebody waits for its place; one that would have to begin anew
does so for a while. See docs/adr/0062-shared-by-licence.md, docs/adr/0067-imports-give-way.md and
docs/adr/0075-exports-are-tried.md.
"""

from collections.abc import Callable
from time import monotonic
from typing import Final

from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar
from tabellion.platform.jobs.queue import OWN_QUEUE

# Places of a worker. How many of them licences may have, so that the server's own work never waits for theirs; how many one;
# and how many jobs that stay until they have ended, so that others never wait for these.
PLACES: Final = 5
_OF_LICENCES, _OF_ONE, _STAYING = 4, 2, 3
# How long a job works at least, and how often it asks from then on.
_TURN_S, _LOOK_EVERY_S = 2.0, 0.5
_giving_way: list[str] = []
_tried: list[str] = []
LIMITS: Final = {
    "own": OWN_QUEUE, "places": PLACES, "of_licences": _OF_LICENCES, "of_one": _OF_ONE, "staying": _STAYING,
    "giving_way": _giving_way, "tried": _tried,
}  # fmt: skip
# Whether a job does not leave before its end. The library counts as attempts how often a job was taken up before.
_STAYS = "{0}.task_name <> ALL (%(giving_way)s::text[]) AND ({0}.attempts > 0 OR {0}.task_name <> ALL (%(tried)s::text[]))"
# As the library's own, which also lets jobs with the same lock run in order, but for whose turn it is. `leaving` is a job
# that is looked at as if it waited, `mine` the queue of its licence. Two workers that ask at the same moment may give a
# licence a place more than it should have, until its next job ends.
# While the server's own work has places, some of it for hours, licences have so many less that one is free for more of it,
# but one at least. A job that would leave makes room for one, also where licences have too many: so they give them back.
_ROOM = f"""
doing AS MATERIALIZED (
    SELECT queue_name, count(*) AS jobs, count(*) FILTER (WHERE {_STAYS.format("d")}) AS staying
    FROM jobs.procrastinate_jobs d
    WHERE status = 'doing' AND worker_id IS NOT NULL AND id IS DISTINCT FROM %(leaving)s::bigint GROUP BY 1
), room AS MATERIALIZED (
    SELECT w.workers * %(of_one)s AS of_one,
        w.workers * %(places)s - d.jobs AS of_all,
        greatest((%(leaving)s::bigint IS NOT NULL)::int, least(
            w.workers * %(of_licences)s - d.of_licences,
            greatest(w.workers * %(places)s - d.jobs - 1, 1 - d.of_licences))) AS of_licences,
        w.workers * %(staying)s - d.staying AS of_staying
    FROM (SELECT greatest(count(*), 1) AS workers FROM jobs.procrastinate_workers) w, (
        SELECT coalesce(sum(jobs), 0) AS jobs, coalesce(sum(jobs) FILTER (WHERE queue_name <> %(own)s), 0) AS of_licences,
            coalesce(sum(staying) FILTER (WHERE queue_name <> %(own)s), 0) AS staying
        FROM doing) d
)"""  # noqa: S608 - names of our own
CANDIDATE: Final = f"""{_ROOM}, candidate AS (
    SELECT j.id, j.queue_name FROM jobs.procrastinate_jobs j CROSS JOIN room
        LEFT JOIN doing ON doing.queue_name = j.queue_name LEFT JOIN tabellion.job_turn t ON t.queue_name = j.queue_name
    WHERE (j.status = 'todo' AND (j.scheduled_at IS NULL OR j.scheduled_at <= now()) OR j.id = %(leaving)s)
      AND (%(queues)s::text[] IS NULL OR j.queue_name = ANY (%(queues)s::text[]))
      AND (j.queue_name = %(own)s OR room.of_licences > 0 AND coalesce(doing.jobs, 0) < room.of_one
          AND (room.of_staying > 0 OR NOT ({_STAYS.format("j")})))
      AND NOT EXISTS (
        SELECT FROM jobs.procrastinate_jobs o
        WHERE j.lock IS NOT NULL AND o.lock = j.lock AND o.id IS DISTINCT FROM %(leaving)s
          AND (o.status = 'doing' OR o.status = 'todo' AND (-o.priority, o.id) < (-j.priority, j.id)))
    ORDER BY j.queue_name <> %(own)s, coalesce(doing.jobs, 0), j.queue_name = %(mine)s, t.at NULLS FIRST,
        j.priority DESC, j.id LIMIT 1
"""  # noqa: S608 - names of our own
# Whether another licence, or the server itself, would come next if the job left, and does not come without that. Then its
# own turn ends.
_GIVE_WAY = f"""
WITH {CANDIDATE}), turn AS (
    INSERT INTO tabellion.job_turn SELECT %(mine)s, clock_timestamp() FROM candidate CROSS JOIN room
    WHERE candidate.queue_name <> %(mine)s
        AND CASE candidate.queue_name WHEN %(own)s THEN room.of_all ELSE room.of_licences END <= 1
    ON CONFLICT (queue_name) DO UPDATE SET at = excluded.at RETURNING 1
)
SELECT count(*) FROM turn
"""  # noqa: S608 - names of our own
# From now on it stays: as it has before, or because there is room for another one that does.
_STAY = f"""
WITH {_ROOM}
UPDATE jobs.procrastinate_jobs j SET attempts = greatest(j.attempts, 1) FROM room
WHERE j.id = %(leaving)s AND (j.attempts > 0 OR room.of_staying > 0) RETURNING true
"""  # noqa: S608 - names of our own


def let_give_way(task: str) -> None:
    """The jobs of a task have a `Turn`, and leave when it has ended: they may have the last place of licences."""
    if task not in _giving_way:
        _giving_way.append(task)


def let_be_tried(task: str) -> None:
    """The jobs of a task have a `Trial`: the first time they may have the last place of licences."""
    if task not in _tried:
        _tried.append(task)


class GaveWay(Exception):
    """A job has left its place to others, and goes on, or begins anew, as soon as it is its turn again."""


class Turn:
    """A job's time at work; `queue` is that of its licence.

    `least_s`: how long that is, whoever waits; `clock` gives rising seconds.
    """

    def __init__(
        self, job_id: int | None, queue: str, *, least_s: float = _TURN_S, clock: Callable[[], float] = monotonic
    ) -> None:
        self._leaving = {"leaving": job_id, "mine": queue, "queues": None} | LIMITS
        self._clock = clock
        self._asks_at = clock() + least_s

    async def end_if_others_wait(self, db: Database) -> None:
        """To be called where the job can go on from later. Raises `GaveWay` when it has to leave its place."""
        if self._clock() < self._asks_at:
            return
        self._asks_at = self._clock() + _LOOK_EVERY_S
        if await scalar(db, _GIVE_WAY, self._leaving):
            raise GaveWay


class Trial(Turn):
    """The turn of a job that would begin anew: it leaves once at most, and not when it can stay."""

    _stays = False

    async def end_if_others_wait(self, db: Database) -> None:
        """To be called now and then. Raises `GaveWay` when it has to leave its place."""
        if self._stays or self._clock() < self._asks_at:
            return
        self._stays = bool(await scalar(db, _STAY, self._leaving))
        if not self._stays:
            await super().end_if_others_wait(db)
