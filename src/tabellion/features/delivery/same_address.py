"""The profiles that mails to an address reach: found by the index of the attribute, as suppression compares addresses."""

from collections.abc import Sequence
from itertools import product
from math import prod

from tabellion.features.delivery.sole_mails import KEY
from tabellion.features.tables import Attribute, ProfileTable, as_compared, compared, email_of
from tabellion.features.tables.filters import Condition
from tabellion.kit.domain import readable
from tabellion.kit.letters import capitals
from tabellion.platform.mail import normal_form

# So many values are looked up in some milliseconds. Eleven letters beyond ASCII, which is rare, make 2,048.
_MOST_SPELLINGS = 4096


def reached(table: ProfileTable, profile_id: int | None, address: str) -> Condition:
    """Whom mails to an address reach that one was sent to for a profile: that one, and all others who have the address."""
    email = email_of(table.attributes)
    if email is None or email.unique:
        return Condition("t.id = %s", (profile_id,))
    others = _at(table, email, forms_of(address))
    # An array of its own: asked for in the order of ids, the planner may prefer to read the table in that.
    return Condition(f"t.id = ANY (array_append(ARRAY({others.sql}), %s::bigint))", (*others.params, profile_id))


def having(table: ProfileTable, address: str) -> Condition | None:
    """Whose address it is, however it is written; None: the table has none."""
    email = email_of(table.attributes)
    if email is None:
        return None
    them = _at(table, email, forms_of(address))
    return Condition(f"t.id = ANY (ARRAY({them.sql}))", them.params)


def forms_of(address: str) -> list[str]:
    """How an address may be written, whatever the case: a mail has its domain as relays take it, people as they know it."""
    relayed = normal_form(address)
    local, _, domain = relayed.rpartition("@")
    return list(dict.fromkeys((relayed, f"{local}@{readable(domain)}", address.strip())))


def _at(table: ProfileTable, email: Attribute, forms: Sequence[str]) -> Condition:
    """The query for the ids of profiles that have one of these addresses.

    The index knows the case of ASCII only, so that all spellings of the letters beyond are looked up in it; where those are
    too many the table is read.
    """
    column = f"o.{email.column}"
    wanted = KEY.format('(f.address COLLATE "C")')
    same = f"{KEY.format(column)} IN (SELECT {wanted} FROM unnest(%s::text[]) AS f (address))"  # noqa: S608 - columns
    condition = Condition(same, (list(forms),))
    choices = [_choices(as_compared(email, form)) for form in forms]
    if sum(prod(map(len, letters)) for letters in choices) <= _MOST_SPELLINGS:
        spellings = sorted({"".join(each) for letters in choices for each in product(*letters)})
        indexed = f"{compared(email, column)} = ANY (%s::text[])"
        condition = Condition(f"{indexed} AND {same}", (spellings, *condition.params))
    query = f"SELECT o.id FROM {table.schema}.{table.relation} o WHERE {condition.sql}"  # noqa: S608 - numbers
    return Condition(query, condition.params)


def _choices(address: str) -> list[str]:
    """The letters that may stand at each place of an address."""
    return [letter if letter.isascii() else capitals().get(letter.lower(), letter) for letter in address]
