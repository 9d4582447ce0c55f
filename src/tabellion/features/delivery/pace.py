"""How the sender works; the numbers of a server."""

from datetime import timedelta

import msgspec


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How the sender works; the numbers of a server.

    `look_every_s`: pause between looks at what is due. `batch`: recipients claimed at a time. `beat_every_s`: how often a
    worker shows that it lives; `silent`: after which one without connection is given up, `lost`: one with. Workers judge
    each other by their own: whoever changes one of the three thinks of workers of the version before.
    `write_every_s`, `write_at`: when outcomes are written down. `sendings`, `turn_s`: see `Turns`. `renderings`: batches of
    mass mails that cages have at a time, so that triggered ones wait for no others. `retry_s`: pause after a failure; the
    more of them in a row, the longer. `refusals_in_a_row`: see `Favour`.
    """

    look_every_s: float = 0.1
    batch: int = 200
    beat_every_s: float = 1.0
    silent: timedelta = timedelta(seconds=6)
    lost: timedelta = timedelta(seconds=60)
    write_every_s: float = 0.05
    write_at: int = 200
    sendings: int = 8
    turn_s: float = 2.0
    renderings: int = 2
    retry_s: float = 1.0
    refusals_in_a_row: int = 20
