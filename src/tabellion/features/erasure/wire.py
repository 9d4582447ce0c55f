"""The documents of erasures."""

import msgspec

from tabellion.features.erasure.model import Counts, Erasure
from tabellion.features.tables import moment_or_null, render_moment
from tabellion.platform.http.shapes import Text


class ErasureIn(msgspec.Struct):
    """Whom to erase. `suppress`: the address is to get no mails either if it comes back, but transactional ones."""

    address: Text
    suppress: bool = False


class ErasureOut(msgspec.Struct, rename="camel"):
    """What was erased; `ended_at` null: files are still searched. `suppressed`: a hash keeps the address from mails.

    `failure` says why it has ended and not all was searched; the person has to be erased again then.
    """

    id: int
    asked_at: str
    ended_at: str | None
    suppressed: bool
    erased: Counts
    failure: str | None


def erasure_out(found: Erasure) -> ErasureOut:
    """An erasure as it is answered."""
    moments = (render_moment(found.asked_at), moment_or_null(found.ended_at))
    return ErasureOut(found.id, *moments, found.suppressed, found.counts, found.failure)
