"""The suppression list as a table of text: CSV in and out, as other systems and people have it."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from tabellion.features.bounces.model import one_line
from tabellion.features.delivery import REASONS, UNSUBSCRIBE, Suppression, joined
from tabellion.features.tables import BadValue, parse_moment, render_moment
from tabellion.kit.formulas import as_meant, as_text
from tabellion.kit.problem import FieldError, Invalid, Malformed
from tabellion.platform.mail import address_of, normal_form

COLUMNS = ("address", "reason", "since", "detail", "unsubscribed")
# Other systems' names for the first column.
_ADDRESS = {"address", "email", "e-mail", "emailaddress", "email_address", "recipient", "mail"}
_MOST_FAULTS = 50


def read_csv(raw: bytes) -> list[dict[str, Any]]:
    """The rows of a CSV file by column: with a header, or addresses alone. Raises `Malformed`."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed(f"the file is not in UTF-8: byte {error.start} cannot be read") from None
    first = text.partition("\n")[0]
    delimiter = ";" if first.count(";") > first.count(",") else ","
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if any(row)]
    except csv.Error as error:
        raise Malformed(f"the file is no CSV: {error}") from None
    if not rows:
        return []
    names = [name.strip().lower() for name in rows[0]]
    if "@" in rows[0][0]:
        names = ["address"]
    else:
        rows = rows[1:]
        place = next((i for i, name in enumerate(names) if name in _ADDRESS), None)
        if place is None:
            raise Malformed("the first line names the columns; one of them is 'address'")
        names[place] = "address"
    return [{name: as_meant(cell.strip()) or None for name, cell in zip(names, row, strict=False)} for row in rows]


def read_all(rows: Sequence[dict[str, Any]], zone: tzinfo, now: datetime) -> list[Suppression]:
    """Suppressions of documents with the members of `COLUMNS`, one for each address; all that is wrong is told.

    Raises `Invalid`.
    """
    found: dict[str, Suppression] = {}
    faults: list[FieldError] = []
    for index, row in enumerate(rows):
        try:
            one = _read(row, zone, now)
        except _Wrong as wrong:
            faults.append(FieldError(f"suppressions[{index}].{wrong.member}", wrong.code, str(wrong)))
            if len(faults) >= _MOST_FAULTS:
                break
        else:
            found[one.address] = joined(found[one.address], one) if one.address in found else one
    if faults:
        raise Invalid(faults)
    return list(found.values())


def write_csv(rows: Iterable[Suppression], *, header: bool) -> bytes:
    """Rows as CSV for people and for `read_csv`, with or without the line of the columns' names.

    A stranger's address may begin a formula: `=cmd|'/c'!a0@example.com` is one.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    if header:
        writer.writerow(COLUMNS)
    for row in rows:
        unsubscribed = "" if row.unsubscribed is None else render_moment(row.unsubscribed)
        since = render_moment(row.since)
        writer.writerow((as_text(row.address), row.reason, since, as_text(row.detail or ""), unsubscribed))
    return out.getvalue().encode()


class _Wrong(Exception):
    def __init__(self, member: str, code: str, message: str) -> None:
        super().__init__(message)
        self.member, self.code = member, code


def _read(row: dict[str, Any], zone: tzinfo, now: datetime) -> Suppression:
    text = str(row.get("address") or "").strip()
    if address_of(text) is None:
        raise _Wrong("address", "attribute.value", f"'{one_line(text, 100)}' is no e-mail address")
    reason = str(row.get("reason") or "MANUAL").strip().upper()
    if reason not in REASONS:
        raise _Wrong("reason", "member.type", f"'reason' expects {', '.join(REASONS)}")
    since = _moment(row, "since", zone, now) or now
    # An unsubscription that is the reason itself has its moment already.
    unsubscribed = None if reason == UNSUBSCRIBE else _moment(row, "unsubscribed", zone, now)
    detail = one_line(str(row.get("detail") or ""))
    return Suppression(normal_form(text), reason, since.astimezone(UTC), detail or None, unsubscribed)


def _moment(row: dict[str, Any], member: str, zone: tzinfo, now: datetime) -> datetime | None:
    try:
        found = parse_moment(row.get(member), zone)
    except BadValue as error:
        raise _Wrong(member, error.code, f"'{member}' {error}") from None
    return None if found is None else min(found, now).astimezone(UTC)
