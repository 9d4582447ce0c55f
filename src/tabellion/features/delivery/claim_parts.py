"""Parts of the statements that claim: who gets nothing after all, where to look, and what is answered."""

from collections.abc import Sequence
from typing import Any

from tabellion.features.delivery import changes
from tabellion.features.delivery.hashed import is_hashed
from tabellion.features.delivery.mark import Place
from tabellion.features.delivery.model import DOUBTS, Claimed, Document
from tabellion.features.delivery.suppression_store import holds, listed
from tabellion.features.tables import ProfileTable, email_of

_STILL = """
    SELECT r.id, r.due_at, {written} AS written, {address} AS address,
        CASE WHEN r.profile_id IS NOT NULL AND t.id IS NULL THEN 'deleted' {cleared} {choice}
             WHEN s.address IS NOT NULL OR h.found THEN 'suppressed' END AS reason
    FROM {l}.recipient r LEFT JOIN {l}.{table} t ON t.id = r.profile_id
    LEFT JOIN {l}.suppression s ON {listed} AND {holds}
    LEFT JOIN LATERAL (SELECT true AS found WHERE {hashed}) h ON true"""
# Where the profile is reached now. One beyond ASCII is compared by the program, which knows the form that relays take.
_REACHED = "CASE WHEN octet_length({0}) = length({0}) THEN {0} ELSE r.address END"


def still(document: Document, table: ProfileTable) -> dict[str, str]:
    """Parts of a statement: why a recipient `r` gets nothing after all (null: all is well), and at which address else.

    A test goes to the addresses that it was asked for. `written` is what the profile says.
    """
    number = document.subscription
    parts = {"choice": "" if number is None else f"WHEN t.s{number:d} IS NOT TRUE THEN 'unsubscribed'"}
    email = email_of(table.attributes)
    column = None if email is None else f"t.{email.column}"
    if document.test or column is None:
        parts |= {"written": "NULL::text", "address": "r.address", "cleared": ""}
    else:
        cleared = f"WHEN r.profile_id IS NOT NULL AND coalesce({column}, '') = '' THEN 'noAddress'"
        parts |= {"written": column, "address": _REACHED.format(column), "cleared": cleared}
    return {
        "still": _STILL,
        "table": table.relation,
        "listed": listed("{address}"),
        "hashed": is_hashed(table.licence_id, "lower({address})"),
        "holds": holds(transactional=document.transactional),
        **parts,
    }


def doubt() -> dict[str, str]:
    """Parts of a statement: why nobody knows whether `r` got the mail before, if so; and what they are who get no more."""
    found = "CASE WHEN r.reason IN ('{}') THEN r.reason END".format("', '".join(DOUBTS))
    return {"doubt": found, "out": f"CASE WHEN {found} IS NULL THEN 'EXCLUDED' ELSE 'UNCERTAIN' END"}


# The number of the next claim of `r`. It differs from those before, and begins anew where a smallint ends.
NEXT_ATTEMPT = "r.attempt %% 32767 + 1"

# In a statement that looks for recipients `d` in the order in which they are due: after a place (`places`).
AFTER = "(d.due_at, d.id) > (%(after)s, %(after_id)s)"


def places(after: Place) -> dict[str, Any]:
    """The values of `AFTER`."""
    return {"after": after.due_at, "after_id": after.id}


# What a claiming statement answers of each recipient `r`: see `taken`.
CLAIMED = (
    "r.id, r.profile_id, r.address, coalesce(r.language || '/' || r.variant, r.language) AS message, r.attempt, "
    "r.parameters, r.reason IS NOT NULL AS doubtful, r.tries, looked.written, r.state, looked.due_at"
)
# As the end of a claiming statement that notes whom it leaves out; tests are not noted.
_NOTED = """, taken AS ({claiming}, r.campaign_id, r.reason
), noted AS ({left_out}
) SELECT id, profile_id, address, message, attempt, parameters, doubtful, tries, written, state, due_at FROM taken
"""


def with_note(document: Document, before: str, claiming: str) -> str:
    """A claiming statement, of the queries before its UPDATE and that."""
    if document.test:
        return f"{before}\n{claiming}"
    noted = _NOTED.replace("{claiming}", claiming.rstrip())
    return before + noted.replace("{left_out}", changes.noted(changes.LEFT_OUT, "taken"))


def taken(rows: Sequence[tuple[Any, ...]]) -> tuple[list[Claimed], Place | None]:
    """The claimed of such rows, by id; the last place among all, also those who get nothing or are put off. None: no row."""
    claimed = [Claimed(*of_claimed) for *of_claimed, state, _ in rows if state == "CLAIMED"]
    last = max((Place(due_at, id_) for id_, *_, due_at in rows), default=None)
    return sorted(claimed, key=lambda each: each.id), last
